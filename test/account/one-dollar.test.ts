import {
	evictDurableObject,
	runDurableObjectAlarm,
	runInDurableObject,
} from "cloudflare:test";
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Outcome } from "../../src/contract/account.ts";
import { unwrap } from "../../src/errors.ts";
import { newJobId } from "../../src/ids.ts";
import {
	admissionOf,
	moveClock,
	newAccount,
	type TestAccount,
} from "../support/account.ts";

const DOLLAR = 1_000_000;
const JOBS = 1_000;
const AT_ONCE = 50;

/** What becomes of a job. It holds up to a hundredth of the dollar, and costs up to that. */
const life = fc.record({
	hold: fc.integer({ min: 1, max: 10_000 }),
	/** Percent of the hold. */
	share: fc.integer({ min: 0, max: 100 }),
	status: fc.constantFrom<Outcome["status"]>(
		"succeeded",
		"succeeded",
		"canceled",
		"failed",
		"expired",
	),
	/** Calls that are made again because their answers were lost. */
	admissions: fc.integer({ min: 1, max: 3 }),
	settlements: fc.integer({ min: 1, max: 3 }),
	/** The object dies after it was admitted, or after it was settled. */
	dies: fc.constantFrom("admitted", "settled", ...Array(38).fill(null)),
});
type Life = typeof life extends fc.Arbitrary<infer T> ? T : never;

/** @returns what it cost; null where it was refused for want of money */
async function live(account: TestAccount, job: Life): Promise<number | null> {
	const { stub } = account;
	const admission = admissionOf(account, {
		jobId: newJobId(Date.now()),
		isPrepared: true, // no call of a caller's, which the rate would count
		maxPrice: job.hold,
	});
	const calls = <T>(count: number, call: () => Promise<T>): Promise<T[]> =>
		Promise.all(Array.from({ length: count }, call));
	const admitted = await calls(
		job.admissions,
		async () => await stub.admit(admission),
	);
	const isAdmitted = admitted.some(({ ok }) => ok);
	for (const answer of admitted)
		if (!answer.ok) expect(answer.failure.code).toBe("insufficient_credit");
	if (!isAdmitted) return null;
	if (job.dies === "admitted") await evictDurableObject(stub);
	const isFree = job.status === "failed" || job.status === "expired";
	const price = isFree ? 0 : Math.floor((job.hold * job.share) / 100);
	const { jobId } = admission;
	const outcome: Outcome = { jobId, status: job.status, price, parts: [] };
	const settled = await calls(
		job.settlements,
		async () => await stub.settle(outcome),
	);
	expect(new Set(settled.map((each) => each?.price))).toEqual(new Set([price]));
	if (job.dies === "settled") await evictDurableObject(stub);
	return price;
}

it("a thousand jobs on one dollar never cost more, and each debit is one job's", async () => {
	const account = await newAccount(DOLLAR);
	const lives = fc.sample(fc.noBias(life), {
		numRuns: JOBS,
		seed: 1,
	});
	const prices: (number | null)[] = [];
	await Promise.all(
		Array.from({ length: AT_ONCE }, async () => {
			for (let next = lives.pop(); next; next = lives.pop())
				prices.push(await live(account, next));
		}),
	);
	const spent = prices.reduce<number>((sum, price) => sum + (price ?? 0), 0);
	expect(prices).toHaveLength(JOBS);
	// The dollar was too little for all of them, and they used nearly all of it.
	expect(prices.filter((price) => price === null).length).toBeGreaterThan(100);
	expect(spent).toBeGreaterThan(0.95 * DOLLAR);
	expect(spent).toBeLessThanOrEqual(DOLLAR);

	const entries = await runInDurableObject(account.stub, (_, { storage }) =>
		storage.sql.exec("SELECT * FROM entry ORDER BY seq").toArray(),
	);
	const books = ["funding", "available", "held", "revenue"];
	for (const entry of entries) {
		expect(books.reduce((sum, book) => sum + Number(entry[book]), 0)).toBe(0);
		for (const book of books.slice(1))
			expect(Number(entry[book])).toBeGreaterThanOrEqual(0);
	}
	expect(entries.at(-1)).toMatchObject({
		available: DOLLAR - spent,
		held: 0,
		revenue: spent,
	});
	for (const kind of ["hold", "close"]) {
		const refs = entries
			.filter((entry) =>
				kind === "hold"
					? entry.kind === "hold"
					: entry.kind === "settle" || entry.kind === "release",
			)
			.map(({ ref }) => ref);
		expect(refs).toHaveLength(prices.filter((price) => price !== null).length);
		expect(new Set(refs).size).toBe(refs.length);
	}

	await moveClock(account.stub, 2 * 86_400_000);
	while (unwrap(await account.stub.show()).account.audit.seq < entries.length)
		await runDurableObjectAlarm(account.stub);
	const { audit } = unwrap(await account.stub.show()).account;
	expect(audit).toMatchObject({ seq: entries.length, mismatch: null });
}, 120_000);
