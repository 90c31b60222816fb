/** A quote is bound to the first job that presents it, in the transaction that admits the job. */
import { runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Account } from "../../src/account/account.ts";
import { unwrap } from "../../src/errors.ts";
import { newJobId } from "../../src/ids.ts";
import {
	admissionOf,
	newAccount,
	type TestAccount,
} from "../support/account.ts";

const presented = (expiresAt: number) => ({
	id: crypto.randomUUID(),
	expiresAt,
});
const setClock = (account: TestAccount, now: number) =>
	runInDurableObject(account.stub, (object: Account) => {
		object.clock = () => now;
	});
const codeOf = async (answer: Promise<{ ok: boolean }>) => {
	const result = (await answer) as { ok: boolean; failure?: { code: string } };
	return result.failure?.code ?? "admitted";
};

describe("a quote", () => {
	it("admits a job until the millisecond before it expires", async () => {
		const account = await newAccount(1_000_000);
		const { stub } = account;
		const at = Date.now() + 900_000;
		await fc.assert(
			fc.asyncProperty(fc.integer({ min: -2_000, max: 2_000 }), async (off) => {
				await setClock(account, at + off);
				const quote = presented(at);
				const expected = off < 0 ? "admitted" : "quote_expired";
				const preparation = {
					...admissionOf(account),
					jobId: null,
					price: null,
					quote,
					uploads: [],
					previous: null,
					hasWebhook: false,
				};
				expect((await stub.prepare(preparation)).ok).toBe(off < 0);
				expect(await codeOf(stub.admit(admissionOf(account, { quote })))).toBe(
					expected,
				);
			}),
			{ numRuns: 40, examples: [[-1], [0], [1]] },
		);
	});

	it("is no other job's, and stays the first one's", async () => {
		const account = await newAccount(1_000_000);
		const quote = presented(Date.now() + 900_000);
		const first = admissionOf(account, { quote });
		expect(unwrap(await account.stub.admit(first)).result).toBe("new");
		expect(
			await account.stub.admit(admissionOf(account, { quote })),
		).toMatchObject({
			failure: { code: "quote_used", field: "quote", job: first.jobId },
		});
		expect(unwrap(await account.stub.admit(first)).result).toBe("same");
		await setClock(account, quote.expiresAt);
		expect(unwrap(await account.stub.admit(first)).result).toBe("same");
		expect(
			await codeOf(account.stub.admit(admissionOf(account, { quote }))),
		).toBe("quote_used");
	});

	it("is not used by a job that is refused", async () => {
		const account = await newAccount(100);
		const quote = presented(Date.now() + 900_000);
		const admit = () =>
			account.stub.admit(
				admissionOf(account, { quote, jobId: newJobId(Date.now()) }),
			);
		expect(await codeOf(admit())).toBe("insufficient_credit");
		unwrap(await account.stub.credit({ id: "more", amount: 10_000 }));
		expect(await codeOf(admit())).toBe("admitted");
		expect(await codeOf(admit())).toBe("quote_used");
	});

	it("is one name in all of the account, and no caller's Idempotency-Key", async () => {
		const account = await newAccount(1_000_000);
		const quote = presented(Date.now() + 900_000);
		unwrap(await account.stub.admit(admissionOf(account, { quote })));
		const named = admissionOf(account, { idempotencyKey: quote.id });
		expect(unwrap(await account.stub.admit(named)).result).toBe("new");
	});
});
