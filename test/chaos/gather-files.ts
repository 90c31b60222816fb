/**
 * What the invariants are about, read from the files of an edge that runs or ran: its objects'
 * SQLite, and the bucket's listing.
 */
import { createHash, createHmac } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { paginateListObjectsV2, S3Client } from "@aws-sdk/client-s3";
import { BUCKET, REGION } from "../../scripts/bucket.mjs";
import type { Secrets } from "../../scripts/secrets.mjs";
import {
	accountFrom,
	jobFrom,
	poolFrom,
	type Query,
} from "../support/gather.ts";
import type {
	Gathered,
	GatheredAccount,
	GatheredJob,
} from "../support/invariants.ts";

type Kept = Pick<Gathered, "accounts" | "jobs" | "pools">;

/** @param state folder of the deployment */
export function gatherFiles(state: string): Kept {
	const accounts = accountsOf(state);
	// A tombstone does not say whose it is; its file's name does.
	const names = new Map(
		accounts.flatMap(({ id: account, jobs }) =>
			jobs.map(
				({ id }) =>
					[fileOf("Job", `${account}/${id}`), { account, id }] as const,
			),
		),
	);
	const jobs = each(state, "Job", (query, file) =>
		jobFrom(query, names.get(file)),
	);
	return {
		accounts,
		jobs: jobs.filter((job): job is GatheredJob => job !== null),
		pools: poolsOf(state),
	};
}

export const accountsOf = (state: string): GatheredAccount[] =>
	each(state, "Account", accountFrom).filter((account) => account !== null);

export const poolsOf = (state: string): Gathered["pools"] =>
	each(state, "Pool", poolFrom);

/** Keys of all objects in the bucket. */
export async function objectsIn(
	s3: string,
	secrets: Secrets,
): Promise<string[]> {
	const client = new S3Client({
		endpoint: s3,
		region: REGION,
		forcePathStyle: true,
		credentials: {
			accessKeyId: secrets.s3AccessKey,
			secretAccessKey: secrets.s3SecretKey,
		},
	});
	const keys: string[] = [];
	for await (const page of paginateListObjectsV2(
		{ client },
		{ Bucket: BUCKET },
	))
		for (const { Key } of page.Contents ?? []) if (Key) keys.push(Key);
	client.destroy();
	return keys;
}

function each<T>(
	state: string,
	object: string,
	read: (query: Query, file: string) => T,
): T[] {
	const folder = join(state, "edge/v3/do", `minigpt4-${object}`);
	if (!existsSync(folder)) return [];
	return readdirSync(folder)
		.filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name))
		.map((name) => {
			const db = new DatabaseSync(join(folder, name), {
				readOnly: true,
				timeout: 5_000, // the edge may be at it
			});
			try {
				return read((sql) => db.prepare(sql).all(), name);
			} finally {
				db.close();
			}
		});
}

/** As the local runtime names an object's file. */
function fileOf(object: string, name: string): string {
	const key = createHash("sha256").update(`minigpt4-${object}`).digest();
	const half = (of: string | Buffer) =>
		createHmac("sha256", key).update(of).digest().subarray(0, 16);
	const first = half(name);
	return `${Buffer.concat([first, half(first)]).toString("hex")}.sqlite`;
}
