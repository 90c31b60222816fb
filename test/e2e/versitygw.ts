/** A second S3 server, which others wrote: what the bucket's API is held against. */
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AwsClient } from "aws4fetch";
import { BUCKET, corsRule, REGION } from "../../scripts/bucket.mjs";
import { versitygw } from "../../scripts/paths.mjs";
import { launch } from "../../scripts/process.mjs";
import type { Secrets } from "../../scripts/secrets.mjs";
import type { Server } from "../../scripts/stack.mjs";

/**
 * versitygw over a folder, with the bucket and its CORS rule. A start on the same folder finds what
 * was there.
 */
export async function startVersitygw({
	port,
	state,
	secrets,
	origins,
}: {
	port: number;
	state: string;
	secrets: Secrets;
	origins: string[];
}): Promise<Server> {
	const data = join(state, "versitygw", "data");
	const sidecar = join(state, "versitygw", "meta"); // works where the file system has no extended attributes
	for (const folder of [data, sidecar]) mkdirSync(folder, { recursive: true });
	const url = `http://127.0.0.1:${port}`;
	const daemon = await launch(
		versitygw,
		[
			...["--port", new URL(url).host, "--region", REGION, "--quiet"],
			...["posix", "--sidecar", sidecar, data],
		],
		{
			log: join(state, "log", "versitygw.log"),
			env: {
				ROOT_ACCESS_KEY_ID: secrets.s3AccessKey,
				ROOT_SECRET_ACCESS_KEY: secrets.s3SecretKey,
			},
		},
	);
	while (!(await fetch(url).catch(() => null))) {
		if (daemon.exit) throw new Error(`versitygw ended; see ${daemon.log}`);
		await sleep(50);
	}
	await makeBucket(url, secrets, origins);
	return { url, port, daemon, stop: () => daemon.stop() };
}

/** Creates the bucket if it is not there, and sets its rule. */
async function makeBucket(url: string, secrets: Secrets, origins: string[]) {
	const s3 = new AwsClient({
		accessKeyId: secrets.s3AccessKey,
		secretAccessKey: secrets.s3SecretKey,
		...{ region: REGION, service: "s3", retries: 2 },
	});
	const put = async (path: string, init: RequestInit, accepted: number[]) => {
		const answer = await s3.fetch(`${url}/${BUCKET}${path}`, {
			...init,
			method: "PUT",
		});
		const text = await answer.text();
		if (!answer.ok && !accepted.includes(answer.status))
			throw new Error(`PUT /${BUCKET}${path}: ${answer.status} ${text}`);
	};
	await put("", {}, [409]); // it is there, and ours
	const rule = corsRule(origins);
	const elements = (tag: string, values: (string | number)[]) =>
		values.map((value) => `<${tag}>${value}</${tag}>`).join("");
	const body = [
		"<CORSConfiguration><CORSRule>",
		elements("AllowedOrigin", rule.AllowedOrigins),
		elements("AllowedMethod", rule.AllowedMethods),
		elements("AllowedHeader", rule.AllowedHeaders),
		elements("MaxAgeSeconds", [rule.MaxAgeSeconds]),
		"</CORSRule></CORSConfiguration>",
	].join("");
	const md5 = createHash("md5").update(body).digest("base64"); // S3 insists on one
	await put("?cors", { body, headers: { "Content-MD5": md5 } }, []);
}
