/** A deployment after a run: when it is at rest, and what is left of it a month later. */
import { setTimeout as sleep } from "node:timers/promises";
import {
	type Gathered,
	type GatheredAccount,
	NOTHING,
	told,
	violations,
} from "../support/invariants.ts";
import type { KnownAccount } from "./accounts.ts";
import { accountsOf, poolsOf } from "./gather-files.ts";

/** What a forgotten job takes until its hold is free, and a dead job's slot, with time to spare. */
const REST_WITHIN_MS = 150_000;
const MONTH_WITHIN_MS = 120_000;

/** One line for each rule that is broken somewhere. */
export const wrongWith = (gathered: Gathered): string[] =>
	violations(gathered).map(told);

/** Until nothing is held, asked after, leased or queued; or until that should long have been so. */
export async function atRest(state: string): Promise<void> {
	for (const until = Date.now() + REST_WITHIN_MS; Date.now() < until; ) {
		const moving = violations({
			...NOTHING,
			accounts: accountsOf(state).map((account) => ({ ...account, jobs: [] })),
			pools: poolsOf(state),
		}).filter(({ rule }) =>
			["nothing is held", "no slot is taken", "nobody waits"].includes(rule),
		);
		if (moving.length === 0) return;
		await sleep(1_000);
	}
}

/** An edge whose clock runs ahead: each account does what became due, until nothing is. */
export async function monthPasses(
	url: string,
	state: string,
	accounts: KnownAccount[],
): Promise<void> {
	for (const until = Date.now() + MONTH_WITHIN_MS; Date.now() < until; ) {
		for (const { key } of accounts) {
			const headers = { Authorization: `Bearer ${key}` };
			const answer = await fetch(`${url}/v1/account`, { headers });
			await answer.body?.cancel();
		}
		if (accountsOf(state).every(({ due }) => due.every(isLater))) return;
		await sleep(100);
	}
}

/** Months of the ledger go to the bucket 35 days after their end. */
const isLater = (key: string): boolean => key === "ledger:roll";

/** What should be gone and is there, or the reverse: only the ledgers and the names stay. */
export const notAsAfterAMonth = (
	accounts: GatheredAccount[],
	before: GatheredAccount[],
): string[] =>
	accounts.flatMap(({ id, due, uploads, jobs, entries, mismatch }) => {
		const then = before.find((account) => account.id === id);
		const kept = jobs.filter(({ gone }) => !gone);
		return [
			...(mismatch === null ? [] : [`the audit of ${id}: ${mismatch}`]),
			...due
				.filter((key) => !isLater(key))
				.map((key) => `left to do in ${id}: ${key}`),
			...uploads.map(({ key }) => `an upload left in ${id}: ${key}`),
			...kept.map((job) => `not expired in ${id}: ${job.id}`),
			...(JSON.stringify(entries) === JSON.stringify(then?.entries)
				? []
				: [`the ledger of ${id} changed after all had ended`]),
			...(jobs.length === then?.jobs.length ? [] : [`${id} lost a job's name`]),
		];
	});
