// @ts-check
/** The bucket, and who may reach it from a browser. */

export const BUCKET = "minigpt4";
export const REGION = "us-east-1";

/**
 * What lets pages PUT to a presigned URL, as S3's tools write it; docs/bucket.md shows it to
 * operators.
 * @param {string[]} origins
 */
export const corsRule = (origins) => ({
	AllowedOrigins: origins,
	AllowedMethods: ["PUT"],
	AllowedHeaders: ["content-type", "x-amz-checksum-sha256"],
	MaxAgeSeconds: 600,
});
