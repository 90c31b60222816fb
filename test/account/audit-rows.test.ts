import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Account } from "../../src/account/account.ts";
import { unwrap } from "../../src/errors.ts";
import {
	admissionOf,
	moveClock,
	newAccount,
	ringAfter,
	type TestAccount,
} from "../support/account.ts";

const DAY = 24 * 60 * 60_000;

afterEach(() => {
	vi.restoreAllMocks();
});

/** Sends one job through. */
async function job(account: TestAccount, price: number | null = 3) {
	const admission = admissionOf(account, { maxPrice: 10 });
	unwrap(await account.stub.admit(admission));
	const { jobId } = admission;
	if (price !== null)
		await account.stub.settle({ jobId, status: "succeeded", price, parts: [] });
	return jobId;
}

const exec = (account: TestAccount, ...args: Parameters<SqlStorage["exec"]>) =>
	runInDurableObject(account.stub, (_, { storage: { sql } }) =>
		sql.exec(...args).toArray(),
	);
const audit = async (account: TestAccount) =>
	unwrap(await account.stub.show()).account.audit;
const isDue = async (account: TestAccount) =>
	(await exec(account, "SELECT at FROM due WHERE key = 'ledger:audit'"))
		.length === 1;

/** Runs the audit that is due within a day, while jobs that run are not asked after yet. */
async function auditNow(account: TestAccount): Promise<void> {
	await exec(account, "UPDATE due SET at = 1 WHERE key = 'ledger:audit'");
	await runInDurableObject(account.stub, (object: Account) => object.alarm());
}

describe("a ledger that is right", () => {
	it("is audited within a day of a new entry, from where the audit stopped", async () => {
		const account = await newAccount(1_000);
		await job(account);
		await job(account, 0);
		expect(await audit(account)).toEqual({ seq: 0, at: null, mismatch: null });
		await ringAfter(account, DAY + 60_000);
		expect(await audit(account)).toMatchObject({ seq: 5, mismatch: null });
		expect(unwrap(await account.stub.show()).account.frozenAt).toBeNull();
		// Nothing new, and nothing to do.
		expect(await isDue(account)).toBe(false);
		await job(account);
		expect(await isDue(account)).toBe(true);
	});

	it("is read a slice at a time, however long it is, and calls come in between", async () => {
		const account = await newAccount(1_000);
		const now = Date.now();
		await exec(
			account,
			`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
				INSERT INTO gone_job (id, body_hash, model, hold, created_at, status, expires_in, price,
					balance, settled_at)
				SELECT 'j' || i, 'a', 'nano', 10, ${now}, 'failed', 1, 0, 1000, ${now} FROM n`,
		);
		await exec(
			account,
			`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2999)
				INSERT INTO entry
					(at, kind, ref, source, target, amount, funding, available, held, revenue)
				SELECT ${now}, iif(i % 2 = 0, 'hold', 'release'), 'j' || (i / 2 + 1),
					iif(i % 2 = 0, 'available', 'held'), iif(i % 2 = 0, 'held', 'available'), 10, -1000,
					1000 - 10 * ((i + 1) % 2), 10 * ((i + 1) % 2), 0 FROM n`,
		);
		await moveClock(account.stub, DAY + 60_000);
		const reached: number[] = [];
		while ((await isDue(account)) && reached.length < 9) {
			await runDurableObjectAlarm(account.stub);
			reached.push((await audit(account)).seq);
			if (reached.length === 2) await job(account);
		}
		// The third slice has the two entries that came in between.
		expect(reached).toEqual([1_000, 2_000, 3_000, 3_003]);
		expect((await audit(account)).mismatch).toBeNull();
	});
});

describe("a ledger that is wrong", () => {
	const spoil = (account: TestAccount) =>
		exec(account, "UPDATE entry SET released = 6, amount = 4 WHERE seq = 3");

	it("freezes its account: no new job, but reading goes on, and what runs ends", async () => {
		const lines: string[] = [];
		vi.spyOn(console, "log").mockImplementation((line) => lines.push(line));
		const account = await newAccount(1_000);
		const done = await job(account);
		const running = await job(account, null);
		await spoil(account);
		await auditNow(account);
		const mismatch = expect.stringMatching(/^entry 3: /);
		expect(await audit(account)).toMatchObject({ seq: 0, mismatch });
		const logged = lines
			.map((line) => JSON.parse(line))
			.filter(({ event }) => event === "ledger_mismatch");
		expect(logged).toMatchObject([
			{ level: "error", account: account.id, mismatch },
		]);

		const refused = { ok: false, failure: { code: "account_frozen" } };
		const { stub, credential } = account;
		const another = admissionOf(account, { maxPrice: 10 });
		expect(await stub.admit(another)).toMatchObject(refused);
		expect(
			await stub.prepare({
				...another,
				price: another,
				uploads: [],
				previous: null,
				hasWebhook: false,
			}),
		).toMatchObject(refused);
		unwrap(await stub.lookup(credential, done));
		const same = admissionOf(account, { jobId: done, maxPrice: 10 });
		expect(unwrap(await stub.admit(same)).result).toBe("same");
		const outcome = { status: "succeeded" as const, price: 5, parts: [] };
		expect(await stub.settle({ jobId: running, ...outcome })).toMatchObject({
			price: 5,
		});
		unwrap(await stub.credit({ id: "more", amount: 1 }));
	});

	it("is let go by an operator, and audited from there on", async () => {
		const account = await newAccount(1_000);
		await job(account);
		await spoil(account);
		const open = await job(account, null);
		await auditNow(account);
		const thawed = unwrap(await account.stub.unfreeze()).account;
		expect(thawed).toMatchObject({
			frozenAt: null,
			audit: { seq: 4, mismatch: null },
		});
		expect(unwrap(await account.stub.unfreeze()).account).toEqual(thawed);
		await job(account);
		const outcome = { status: "failed" as const, price: 0, parts: [] };
		await account.stub.settle({ jobId: open, ...outcome });
		await auditNow(account);
		expect(await audit(account)).toMatchObject({ seq: 7, mismatch: null });
		// What is wrong since is found.
		await job(account);
		await exec(account, "UPDATE entry SET at = at + 1 WHERE seq = 9");
		await auditNow(account);
		expect(unwrap(await account.stub.show()).account).toMatchObject({
			frozenAt: expect.stringMatching(/Z$/),
			audit: { seq: 7, mismatch: expect.stringMatching(/^entry 9: /) },
		});
	});

	it("is found where its newest entries are gone", async () => {
		const account = await newAccount(1_000);
		await job(account);
		await auditNow(account);
		await exec(account, "DELETE FROM entry WHERE seq = 3");
		await exec(account, "INSERT INTO due VALUES ('ledger:audit', 1)");
		await runInDurableObject(account.stub, (object: Account) => object.alarm());
		expect((await audit(account)).mismatch).toBe("entry 3: it is missing");
	});
});
