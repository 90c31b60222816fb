/** A second S3 server, which others wrote: what the bucket's API is held against. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
	CreateBucketCommand,
	PutBucketCorsCommand,
	S3Client,
} from "@aws-sdk/client-s3";
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
	// Works where the file system has no extended attributes.
	const sidecar = join(state, "versitygw", "meta");
	for (const folder of [data, sidecar]) mkdirSync(folder, { recursive: true });
	const url = `http://127.0.0.1:${port}`;
	const daemon = await launch(
		versitygw,
		[
			"--port",
			new URL(url).host,
			"--region",
			REGION,
			"--quiet",
			"posix",
			"--sidecar",
			sidecar,
			data,
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
async function makeBucket(
	endpoint: string,
	{ s3AccessKey, s3SecretKey }: Secrets,
	origins: string[],
): Promise<void> {
	const s3 = new S3Client({
		endpoint,
		region: REGION,
		forcePathStyle: true,
		credentials: { accessKeyId: s3AccessKey, secretAccessKey: s3SecretKey },
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
