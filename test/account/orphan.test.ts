import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { Account } from "../../src/account/account.ts";
import { ORPHAN_AFTER_MS } from "../../src/account/lifecycle.ts";
import type { Resolution } from "../../src/contract/account.ts";
import { unwrap } from "../../src/errors.ts";
import {
	admissionOf,
	bindings,
	dump,
	newAccount,
	ringAfter,
	type TestAccount,
} from "../support/account.ts";
import { ONE_EACH } from "../support/prices.ts";

const PRICE = 1000;
const MINUTE = 60_000;

const money = async (account: TestAccount) => {
	const { available, held } = unwrap(await account.stub.show()).account;
	return { available, held };
};

const admitted = async () => {
	const account = await newAccount(PRICE);
	const admission = admissionOf(account);
	unwrap(await account.stub.admit(admission));
	return { account, admission, jobId: admission.jobId };
};

/** Puts scripted answers in the Job's place: how a Job comes to them is its own tests' business. */
const jobAnswers = (
	account: TestAccount,
	answer: (name: string, object: Account) => Promise<Resolution>,
) =>
	runInDurableObject(account.stub, (object: Account) => {
		const JOB = {
			getByName: (name: string) => ({ resolve: () => answer(name, object) }),
		};
		Object.defineProperty(object, "env", { value: { ...bindings, JOB } });
	});

const nextDue = async (account: TestAccount) =>
	((await dump(account.stub)).job as { due_at: number }[])[0]?.due_at;

describe("a hold whose job never settled", () => {
	it("killed between admit and claim: is released only after the Job's tombstone", async () => {
		const { account, admission, jobId } = await admitted();
		await ringAfter(account, ORPHAN_AFTER_MS - 5000);
		expect((await money(account)).held).toBe(PRICE);
		await ringAfter(account, ORPHAN_AFTER_MS + 5000);
		expect(await money(account)).toEqual({ available: PRICE, held: 0 });

		const gone = { ok: false, failure: { code: "job_gone" } };
		const job = bindings.JOB.get(
			bindings.JOB.idFromName(`${account.id}/${jobId}`),
		);
		expect(
			await job.start({
				account: account.id,
				id: jobId,
				model: "nano",
				messages: [],
				followUp: null,
				images: [],
				sampling: {
					max_tokens: 1,
					temperature: 0,
					top_p: 1,
					repetition_penalty: 1,
					seed: 1,
					stop: [],
				},
				metadata: {},
				cacheSalt: "",
				createdAt: new Date().toISOString(),
				prices: ONE_EACH,
				maxPrice: 1,
				mostPromptTokens: 1,
				expiresIn: 3600,
				onDisconnect: "continue",
				startBy: null,
				endBy: null,
				cancelAt: null,
				trace: null,
			}),
		).toEqual(gone);
		expect(await account.stub.admit(admission)).toMatchObject(gone);
		expect(await account.stub.lookup(account.credential, jobId)).toMatchObject(
			gone,
		);
		const { jobs } = unwrap(
			await account.stub.jobs(account.credential, { cursor: null, limit: 9 }),
		);
		expect(jobs).toEqual([]);
	});

	it("is kept while the job runs, however long, and asked about after each deadline", async () => {
		const { account, jobId } = await admitted();
		const asked: string[] = [];
		const start = Date.now();
		let until = start + 14 * MINUTE;
		await jobAnswers(account, async (name) => {
			asked.push(name);
			return { status: "running", until };
		});
		await ringAfter(account, 2 * MINUTE);
		expect(await nextDue(account)).toBe(until + ORPHAN_AFTER_MS);
		await ringAfter(account, 14 * MINUTE);
		expect(asked).toEqual([`${account.id}/${jobId}`]);
		until = start + 60 * MINUTE;
		await ringAfter(account, 16 * MINUTE);
		expect(asked).toHaveLength(2);
		expect(await nextDue(account)).toBe(until + ORPHAN_AFTER_MS);
		expect((await money(account)).held).toBe(PRICE);
	});

	it("is asked about later when the job's deadline has already passed", async () => {
		const { account } = await admitted();
		await jobAnswers(account, async () => ({ status: "running", until: 0 }));
		await ringAfter(account, 2 * MINUTE);
		expect(await nextDue(account)).toBeGreaterThan(Date.now() + 2 * MINUTE);
	});

	it("is settled with the outcome of a finished job, once", async () => {
		const { account, jobId } = await admitted();
		const outcome = {
			jobId,
			status: "succeeded" as const,
			price: PRICE,
			parts: [],
		};
		await jobAnswers(account, async () => ({ status: "finished", outcome }));
		await ringAfter(account, 2 * MINUTE);
		expect(await money(account)).toEqual({ available: 0, held: 0 });
		expect(await account.stub.settle(outcome)).toMatchObject({
			price: PRICE,
			balance: 0,
		});
		expect((await dump(account.stub)).job).toMatchObject([
			{ id: jobId, status: "succeeded", settled_at: expect.any(Number) },
		]);
	});

	it("is kept while the Job is out of reach, and the alarm neither throws nor rests", async () => {
		const { account } = await admitted();
		await jobAnswers(account, () => Promise.reject(new Error("unreachable")));
		for (const minutes of [2, 10, 100]) {
			await ringAfter(account, minutes * MINUTE);
			expect((await money(account)).held).toBe(PRICE);
			expect(await nextDue(account)).toBeGreaterThan(
				Date.now() + minutes * MINUTE,
			);
		}
	});

	it("is settled by the job itself during the question, and stays settled", async () => {
		const { account, jobId } = await admitted();
		await jobAnswers(account, async (_, object) => {
			await object.settle({
				jobId,
				status: "succeeded",
				price: PRICE,
				parts: [],
			});
			return { status: "running", until: Date.now() + MINUTE };
		});
		await ringAfter(account, 2 * MINUTE);
		expect(await money(account)).toEqual({ available: 0, held: 0 });
		expect((await dump(account.stub)).job).toMatchObject([
			{ id: jobId, status: "succeeded", settled_at: expect.any(Number) },
		]);
	});

	it("does not block others: forty orphans, one unreachable, are all asked", async () => {
		const account = await newAccount(40 * PRICE);
		const admissions = Array.from({ length: 40 }, () => admissionOf(account));
		for (const each of admissions) unwrap(await account.stub.admit(each));
		const stuck = `${account.id}/${admissions[0]?.jobId}`;
		await jobAnswers(account, async (name) => {
			if (name === stuck) throw new Error("unreachable");
			return { status: "void" };
		});
		await ringAfter(account, 2 * MINUTE);
		await ringAfter(account, 2 * MINUTE);
		expect(await money(account)).toEqual({
			available: 39 * PRICE,
			held: PRICE,
		});
	});
});
