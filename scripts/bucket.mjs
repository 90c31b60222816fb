// @ts-check
/** The bucket on the S3 server, and who may reach it from a browser. */
import { createHash } from "node:crypto";
import { AwsClient } from "aws4fetch";

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

/** @param {string} tag @param {string[]} values */
const elements = (tag, values) =>
	values
		.map((value) => `<${tag}>${value.replaceAll("&", "&amp;")}</${tag}>`)
		.join("");

/** A rule as the API wants it. @param {ReturnType<typeof corsRule>} rule */
const xml = (rule) =>
	[
		elements("AllowedOrigin", rule.AllowedOrigins),
		elements("AllowedMethod", rule.AllowedMethods),
		elements("AllowedHeader", rule.AllowedHeaders),
		elements("MaxAgeSeconds", [String(rule.MaxAgeSeconds)]),
	].join("");

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
	const s3 = new AwsClient({
		accessKeyId,
		secretAccessKey,
		region: REGION,
		service: "s3",
		retries: 2,
	});
	/** @param {string} path @param {RequestInit} [init] @param {number[]} [accepted] */
	const put = async (path, init, accepted = []) => {
		const answer = await s3.fetch(`${endpoint}/${BUCKET}${path}`, {
			method: "PUT",
			...init,
		});
		const text = await answer.text();
		if (!answer.ok && !accepted.includes(answer.status)) {
			throw new Error(
				`S3: PUT /${BUCKET}${path} answered ${answer.status}: ${text}`,
			);
		}
	};
	await put("", {}, [409]); // 409: it is there, and ours
	const body = `<CORSConfiguration><CORSRule>${xml(corsRule(origins))}</CORSRule></CORSConfiguration>`;
	const md5 = createHash("md5").update(body).digest("base64"); // S3 insists on one
	await put("?cors", { body, headers: { "Content-MD5": md5 } });
}
