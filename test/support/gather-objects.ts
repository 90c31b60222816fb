/** What the invariants are about, gathered from the objects of a test in workerd. */
import { runInDurableObject } from "cloudflare:test";
import { bindings } from "./account.ts";
import { accountFrom, jobFrom, poolFrom, type Query } from "./gather.ts";
import type { Asked, Gathered, GatheredAccount } from "./invariants.ts";
import type { Read, TestJob } from "./jobs.ts";

/** A caller's reading of a job. */
export interface Reading {
	job: TestJob;
	after?: number;
	seen: Read[];
}

export async function gather(
	jobs: TestJob[],
	readings: Reading[] = [],
	asked: Asked[] = [],
): Promise<Gathered> {
	const owners = new Map(jobs.map(({ account }) => [account.id, account]));
	const accounts = await Promise.all(
		[...owners.values()].map(({ stub }) => inside(stub, accountFrom)),
	);
	const objects = await Promise.all(
		jobs.map(({ account, id, stub }) =>
			inside(stub(), (query) => jobFrom(query, { account: account.id, id })),
		),
	);
	const pool = bindings.POOL.get(bindings.POOL.idFromName("nano"));
	return {
		accounts: accounts as GatheredAccount[],
		jobs: objects.filter((job) => job !== null),
		readers: readings.map(({ job, after = 0, seen }) => ({
			account: job.account.id,
			job: job.id,
			after,
			events: seen.map(({ seq, type, raw }) => ({
				seq,
				type,
				data: raw.slice(raw.indexOf("\ndata: ") + 7, -2),
			})),
		})),
		asked,
		pools: [await inside(pool, poolFrom)],
		objects: null,
	};
}

const inside = <T>(
	stub: DurableObjectStub,
	read: (query: Query) => T,
): Promise<T> =>
	runInDurableObject(stub, (_, { storage }) =>
		read((sql) => storage.sql.exec(sql).toArray()),
	);
