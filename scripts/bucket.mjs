// @ts-check
/** The bucket on the S3 server, and who may reach it from a browser. */
import { createHash } from "node:crypto";
import { AwsClient } from "aws4fetch";

export const BUCKET = "minigpt4";
export const REGION = "us-east-1";

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
	const rule =
		origins
			.map((origin) => `<AllowedOrigin>${origin}</AllowedOrigin>`)
			.join("") +
		["GET", "HEAD", "PUT"]
			.map((method) => `<AllowedMethod>${method}</AllowedMethod>`)
			.join("") +
		"<AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>600</MaxAgeSeconds>";
	const body = `<CORSConfiguration><CORSRule>${rule}</CORSRule></CORSConfiguration>`;
	const md5 = createHash("md5").update(body).digest("base64"); // S3 insists on one
	await put("?cors", { body, headers: { "Content-MD5": md5 } });
}
