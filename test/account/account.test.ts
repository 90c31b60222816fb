import {
	evictDurableObject,
	runDurableObjectAlarm,
	runInDurableObject,
} from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import type { Account } from "../../src/account/account.ts";
import type { Balances, Book } from "../../src/account/ledger.ts";
import { createUpload, finalizeUpload } from "../../src/account/uploads.ts";
import type { Admitted, Outcome } from "../../src/contract/account.ts";
import { unwrap } from "../../src/errors.ts";
import { newUploadId } from "../../src/ids.ts";
import {
	accountStub,
	admissionOf,
	credentialOf,
	dump,
	newAccount,
	type TestAccount,
	uploadsOf,
} from "../support/account.ts";

const PRICE = 1000;
const code = (result: Admitted) =>
	result.ok ? result.result : result.failure.code;
const money = async (account: TestAccount) => {
	const { available, held } = unwrap(await account.stub.show()).account;
	return { available, held };
};
const outcome = (
	jobId: string,
	status: Outcome["status"] = "succeeded",
	price = PRICE,
): Outcome => ({ jobId, status, price, parts: [] });

describe("an account that was never created", () => {
	it("answers invalid_key, and writes nothing", async () => {
		const stub = accountStub("nobody");
		const nobody = {
			id: "nobody",
			key: "",
			credential: credentialOf("0".repeat(64)),
			stub,
		};
		const refused = { ok: false, failure: { code: "invalid_key" } };
		expect(await stub.authenticate(nobody.credential)).toEqual(refused);
		expect(await stub.admit(admissionOf(nobody))).toEqual(refused);
		expect(await stub.lookup(nobody.credential, "x")).toEqual(refused);
		expect(
			await stub.jobs(nobody.credential, { cursor: null, limit: 10 }),
		).toEqual(refused);
		expect(await stub.show()).toEqual({
			ok: false,
			failure: { code: "account_not_found" },
		});
		expect(await dump(stub)).toEqual({});
	});
});

describe("keys", () => {
	it("open the account until they are revoked", async () => {
		const { stub, credential } = await newAccount();
		const { keyId } = unwrap(await stub.authenticate(credential));
		const first = unwrap(await stub.revokeKey(keyId)).key;
		expect(first.revokedAt).not.toBeNull();
		expect(await stub.authenticate(credential)).toEqual({
			ok: false,
			failure: { code: "revoked_key" },
		});
		expect(unwrap(await stub.revokeKey(keyId)).key).toEqual(first);
		expect(await stub.revokeKey("key_other")).toEqual({
			ok: false,
			failure: { code: "key_not_found" },
		});
	});

	it("of one account do not open another", async () => {
		const [one, other] = [await newAccount(), await newAccount()];
		expect(await other.stub.authenticate(one.credential)).toEqual({
			ok: false,
			failure: { code: "invalid_key" },
		});
	});
});

describe("credit", () => {
	it("counts once per id, and conflicts with another amount", async () => {
		const account = await newAccount();
		const sent = await Promise.all(
			[1, 2, 3].map(() => account.stub.credit({ id: "c1", amount: 500 })),
		);
		for (const each of sent) expect(each.ok).toBe(true);
		expect(await account.stub.credit({ id: "c1", amount: 501 })).toEqual({
			ok: false,
			failure: { code: "credit_conflict" },
		});
		expect(await money(account)).toEqual({ available: 500, held: 0 });
	});
});

describe("admission", () => {
	it("two hundred in parallel never hold more than the balance", async () => {
		const account = await newAccount(50 * PRICE + 999);
		const answers = await Promise.all(
			Array.from({ length: 200 }, () =>
				account.stub.admit(admissionOf(account)),
			),
		);
		const codes = answers.map(code);
		expect(codes.filter((c) => c === "new")).toHaveLength(50);
		expect(codes.filter((c) => c === "insufficient_credit")).toHaveLength(150);
		expect(await money(account)).toEqual({ available: 999, held: 50 * PRICE });
		const { job, entry, event } = await dump(account.stub);
		expect([job?.length, entry?.length, event?.length]).toEqual([50, 51, 50]);
	});

	it("repeated in parallel and later holds once and answers the same", async () => {
		const account = await newAccount(10 * PRICE);
		const admission = admissionOf(account, { isPrepared: true });
		const answers = await Promise.all(
			Array.from({ length: 20 }, () => account.stub.admit(admission)),
		);
		expect(answers.map(code).sort()).toEqual([
			"new",
			...Array(19).fill("same"),
		]);
		const before = await dump(account.stub);
		const again = await account.stub.admit(admission);
		expect(withoutLimits({ ...again, result: "new" })).toEqual(
			withoutLimits(answers.find((each) => code(each) === "new")),
		);
		expect(await dump(account.stub)).toEqual(before);
		expect((await money(account)).held).toBe(PRICE);
	});

	it("still answers the same after the job settled, and holds nothing anew", async () => {
		const account = await newAccount(PRICE);
		const admission = admissionOf(account);
		await account.stub.admit(admission);
		await account.stub.settle(outcome(admission.jobId));
		expect(code(await account.stub.admit(admission))).toBe("same");
		expect(await money(account)).toEqual({ available: 0, held: 0 });
	});

	it("refused leaves no row", async () => {
		const account = await newAccount(PRICE);
		const { keyId } = unwrap(
			await account.stub.authenticate(account.credential),
		);
		const used = admissionOf(account);
		await account.stub.admit(used);
		const before = await dump(account.stub);
		const refusals = [
			[admissionOf(account), "insufficient_credit"],
			[{ ...used, requestHash: "b".repeat(64) }, "id_conflict"],
			[
				admissionOf(account, { credential: credentialOf("0".repeat(64)) }),
				"invalid_key",
			],
			[
				admissionOf(account, {
					maxPrice: 0,
					images: uploadsOf("img_01JD8Z6Q3V9Y4K2M7N5P8R1S3X"),
				}),
				"upload_not_found",
			],
		] as const;
		for (const [admission, expected] of refusals)
			expect(code(await account.stub.admit(admission))).toBe(expected);
		expect(await dump(account.stub)).toEqual(before);
		await account.stub.revokeKey(keyId);
		expect(code(await account.stub.admit(used))).toBe("revoked_key");
	});

	it("gives each account its own cache salt, the same for all its jobs", async () => {
		const [one, other] = [await newAccount(PRICE), await newAccount(PRICE)];
		const salt = async (account: TestAccount) =>
			unwrap(await account.stub.admit(admissionOf(account, { maxPrice: 0 })))
				.cacheSalt;
		expect(await salt(one)).toMatch(/^[0-9a-f]{64}$/);
		expect(await salt(one)).toBe(await salt(one));
		expect(await salt(one)).not.toBe(await salt(other));
	});

	it("survives the eviction of the object", async () => {
		const account = await newAccount(PRICE);
		const admission = admissionOf(account);
		const first = await account.stub.admit(admission);
		await evictDurableObject(account.stub);
		expect(withoutLimits(await account.stub.admit(admission))).toEqual({
			...withoutLimits(first),
			result: "same",
		});
	});
});

/** An answer without what is left of the limits, which each call changes. */
function withoutLimits(answer: object | undefined): object {
	const { limits: _, ...rest } = { limits: null, ...answer };
	return rest;
}

describe("a job's images", () => {
	const SHA = "c".repeat(64);
	const upload = async (account: TestAccount) => {
		const id = newUploadId(Date.now());
		await runInDurableObject(account.stub, (_, { storage: { sql } }) => {
			const now = Date.now();
			createUpload(
				sql,
				null,
				account.id,
				{ id, contentType: "image/png", bytes: 9, sha256: SHA, way: "body" },
				now,
			);
			const stored = { width: 8, height: 8, bytes: 9, sha256: SHA };
			unwrap(finalizeUpload(sql, null, id, stored, now));
			// There is no bucket here whose staged object the alarm could delete.
			sql.exec("DELETE FROM due WHERE key LIKE 'object:%'");
		});
		return id;
	};
	const imagesOf = (...images: string[]) => ({
		images: uploadsOf(...images),
	});

	it("are held by the admission and released by the settlement", async () => {
		const account = await newAccount(PRICE);
		const image = await upload(account);
		const admission = admissionOf(account, imagesOf(image, image));
		const { images } = unwrap(await account.stub.admit(admission));
		expect(images.map((each) => each.upload)).toEqual([image, image]);
		expect(await account.stub.admit(admission)).toMatchObject({ images });
		unwrap(await account.stub.deleteUpload(account.credential, image));
		const statuses = async () => (await dump(account.stub)).upload;
		expect(await statuses()).toMatchObject([{ status: "deleted" }]);
		await account.stub.settle(outcome(admission.jobId, "failed"));
		expect(await statuses()).toEqual([]);
	});

	it("leave no hold when one of them, or the money, is missing", async () => {
		const account = await newAccount(PRICE);
		const image = await upload(account);
		const before = await dump(account.stub);
		const unknown = newUploadId(Date.now());
		const missing = admissionOf(account, imagesOf(image, unknown));
		expect(await account.stub.admit(missing)).toMatchObject({
			ok: false,
			failure: { code: "upload_not_found", field: "images[1].upload" },
		});
		const dear = { ...imagesOf(image), maxPrice: PRICE + 1 };
		expect(code(await account.stub.admit(admissionOf(account, dear)))).toBe(
			"insufficient_credit",
		);
		expect(await dump(account.stub)).toEqual(before);
	});

	it("have the same cache id in every job of an account, and another in another one", async () => {
		const cacheId = async (account: TestAccount) => {
			const admission = admissionOf(account, {
				...imagesOf(await upload(account)),
				maxPrice: 0,
			});
			const { images } = unwrap(await account.stub.admit(admission));
			return images[0]?.cacheId;
		};
		const [one, other] = [await newAccount(), await newAccount()];
		expect(await cacheId(one)).toMatch(/^[0-9a-f]{64}$/);
		expect(await cacheId(one)).toBe(await cacheId(one));
		expect(await cacheId(one)).not.toBe(await cacheId(other));
	});
});

describe("settlement", () => {
	it.each([
		["succeeded", PRICE],
		["failed", 0],
		["canceled", 286],
		["expired", 0],
	] as const)(
		"of a job that %s at %i debits that, once, in parallel and later",
		async (status, price) => {
			const account = await newAccount(3 * PRICE);
			const admission = admissionOf(account);
			await account.stub.admit(admission);
			const settle = () =>
				account.stub.settle(outcome(admission.jobId, status, price));
			const [first, ...others] = await Promise.all([
				settle(),
				settle(),
				settle(),
			]);
			expect(first).toMatchObject({ price, balance: 3 * PRICE - price });
			await account.stub.credit({ id: "later", amount: 5 });
			for (const each of [...others, await settle()])
				expect(each).toEqual(first);
			expect(await money(account)).toEqual({
				available: 3 * PRICE - price + 5,
				held: 0,
			});
			const row = await account.stub.lookup(
				account.credential,
				admission.jobId,
			);
			expect(unwrap(row).job).toMatchObject({ status, price });
		},
	);

	it("stands, whatever a later report says", async () => {
		const account = await newAccount(PRICE);
		const { jobId } = admissionOf(account);
		await account.stub.admit(admissionOf(account, { jobId }));
		const first = await account.stub.settle(outcome(jobId, "failed", 0));
		expect(await account.stub.settle(outcome(jobId, "succeeded"))).toEqual(
			first,
		);
		expect(await money(account)).toEqual({ available: PRICE, held: 0 });
	});

	it("of a job that was never admitted is answered with null and moves nothing", async () => {
		const account = await newAccount(PRICE);
		const before = await dump(account.stub);
		expect(await account.stub.settle(outcome("unknown"))).toBe(null);
		expect(await dump(account.stub)).toEqual(before);
	});
});

describe("the books", () => {
	it("hold what their entries say, and sum to 0", async () => {
		const account = await newAccount(20 * PRICE);
		const statuses = ["succeeded", "failed", "canceled", null] as const;
		await Promise.all(
			Array.from({ length: 16 }, async (_, n) => {
				const admission = admissionOf(account);
				await account.stub.admit(admission);
				const status = statuses[n % statuses.length];
				if (status)
					await account.stub.settle(outcome(admission.jobId, status, n % 3));
			}),
		);
		const { entry } = (await dump(account.stub)) as {
			entry: ({
				source: Book;
				target: Book;
				amount: number;
				released: number;
			} & Balances)[];
		};
		const sums = { funding: 0, available: 0, held: 0, revenue: 0 };
		for (const { source, target, amount, released, ...row } of entry) {
			sums[source] -= amount + released;
			sums[target] += amount;
			sums.available += released;
			expect(row).toMatchObject(sums);
			expect(Object.values(sums).reduce((a, b) => a + b)).toBe(0);
		}
		expect(sums.held).toBe(4 * PRICE);
		expect(await money(account)).toEqual({
			available: sums.available,
			held: sums.held,
		});
	});

	it("take no entry that would overdraw them, whoever writes it", async () => {
		const { stub } = await newAccount(5);
		await runInDurableObject(stub, (_, { storage }) => {
			const insert = (amount: number, ...after: number[]) =>
				storage.sql.exec(
					`INSERT INTO entry (at, kind, ref, source, target, amount, funding, available, held,
						revenue) VALUES (1, 'hold', 'x', 'available', 'held', ?, ?, ?, ?, ?)`,
					amount,
					...after,
				);
			expect(() => insert(6, -5, -1, 6, 0)).toThrow("CHECK");
			expect(() => insert(5, -5, 1, 5, 0)).toThrow("CHECK");
			expect(() => insert(5, -5, 0, 5, 0)).not.toThrow();
		});
	});
});

describe("a job's cost to its account", () => {
	it("is one transaction at admission and one at settlement, and no other write", async () => {
		const account = await newAccount(10 * PRICE);
		// The first hold also sets the alarm; the later ones find it set early enough.
		await account.stub.admit(admissionOf(account));
		const admission = admissionOf(account);
		await runInDurableObject(
			account.stub,
			async (object: Account, { storage }) => {
				const transaction = vi.spyOn(storage, "transactionSync");
				const alarm = vi.spyOn(storage, "setAlarm");
				Object.defineProperty(object, "ctx", { value: { storage } });
				unwrap(await object.admit(admission));
				expect(transaction).toHaveBeenCalledTimes(1);
				await object.settle(outcome(admission.jobId));
				expect(transaction).toHaveBeenCalledTimes(2);
				expect(alarm).not.toHaveBeenCalled();
			},
		);
	});
});

describe("the index", () => {
	it("pages newest first, each job once, while new ones come in", async () => {
		const account = await newAccount(100 * PRICE);
		const ids: string[] = [];
		const admit = async () => {
			const admission = admissionOf(account);
			await account.stub.admit(admission);
			ids.unshift(admission.jobId);
		};
		for (let n = 0; n < 7; n++) await admit();
		const before = [...ids];
		const seen: string[] = [];
		let cursor: string | null = null;
		do {
			const page: { jobs: { id: string }[]; nextCursor: string | null } =
				unwrap(
					await account.stub.jobs(account.credential, { cursor, limit: 3 }),
				);
			seen.push(...page.jobs.map((job) => job.id));
			cursor = page.nextCursor;
			await admit();
		} while (cursor);
		expect(seen).toEqual(before);
	});

	it("refuses a cursor that is not ours", async () => {
		const { stub, credential } = await newAccount();
		for (const cursor of ["", "1", "j'--", "jzzzzzzzzzzzz"])
			expect(await stub.jobs(credential, { cursor, limit: 3 })).toMatchObject({
				failure: { code: "invalid_request", field: "cursor" },
			});
	});

	it("has no row of another account's job", async () => {
		const [one, other] = [await newAccount(PRICE), await newAccount(PRICE)];
		const admission = admissionOf(one);
		await one.stub.admit(admission);
		expect(
			await other.stub.lookup(other.credential, admission.jobId),
		).toMatchObject({
			ok: false,
			failure: { code: "job_not_found" },
		});
	});
});

describe("the alarm", () => {
	it("that went missing is armed again by any call", async () => {
		const account = await newAccount(PRICE);
		await account.stub.admit(admissionOf(account));
		const at = () =>
			runInDurableObject(account.stub, (_, { storage }) => storage.getAlarm());
		const armed = await at();
		expect(armed).not.toBeNull();
		await runInDurableObject(account.stub, (_, { storage }) =>
			storage.deleteAlarm(),
		);
		// A live instance lets no alarm go missing: one that is lost was lost with its instance.
		await evictDurableObject(account.stub);
		await account.stub.authenticate(account.credential);
		expect(await at()).toBe(armed);
	});

	it("that rings too early touches nothing and rings again", async () => {
		const account = await newAccount(PRICE);
		await account.stub.admit(admissionOf(account));
		const before = await dump(account.stub);
		expect(await runDurableObjectAlarm(account.stub)).toBe(true);
		expect(await dump(account.stub)).toEqual(before);
		expect(
			await runInDurableObject(account.stub, (_, { storage }) =>
				storage.getAlarm(),
			),
		).not.toBeNull();
	});
});
