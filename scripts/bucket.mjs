// @ts-check
/** The bucket on the S3 server, and who may reach it from a browser. */
import {
	CreateBucketCommand,
	PutBucketCorsCommand,
	S3Client,
} from "@aws-sdk/client-s3";

export const BUCKET = "minigpt4";
export const REGION = "us-east-1";

/**
 * What lets pages PUT to a presigned URL, as S3's tools write it; docs/bucket.md shows it to operators.
 * @param {string[]} origins
 */
export const corsRule = (origins) => ({
	AllowedOrigins: origins,
	AllowedMethods: ["PUT"],
	AllowedHeaders: ["content-type", "x-amz-checksum-sha256"],
	MaxAgeSeconds: 600,
});

/**
 * Creates the bucket if it is not there and sets its CORS rules; repeating it changes nothing.
 * @param {{ endpoint: string, accessKeyId: string, secretAccessKey: string, origins: string[] }} options
 *   `origins`: the pages that may upload straight to the bucket
 */
export async function ensureBucket({
	endpoint,
	accessKeyId,
	secretAccessKey,
	origins,
}) {
	const s3 = new S3Client({
		...{ endpoint, region: REGION, forcePathStyle: true },
		credentials: { accessKeyId, secretAccessKey },
	});
	await s3.send(new CreateBucketCommand({ Bucket: BUCKET })).catch((error) => {
		if (error.$metadata?.httpStatusCode !== 409) throw error; // it is there, and ours
	});
	await s3.send(
		new PutBucketCorsCommand({
			Bucket: BUCKET,
			CORSConfiguration: { CORSRules: [corsRule(origins)] },
		}),
	);
	s3.destroy();
}
