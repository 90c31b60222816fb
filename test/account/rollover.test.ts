import { runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Account } from "../../src/account/account.ts";
import {
	cutPart,
	endOfMonth,
	monthOf,
	PART,
	rollsAt,
} from "../../src/account/rollover.ts";
import {
	type SignedSnapshot,
	verifySnapshot,
} from "../../src/contract/ledger-part.ts";
import { config } from "../../src/env.ts";
import { unwrap } from "../../src/errors.ts";
import {
	admissionOf,
	bindings,
	newAccount,
	type TestAccount,
} from "../support/account.ts";
import { type Bucket, bucket } from "../support/bucket.ts";
import type { Wire } from "../support/calls.ts";
import { edge } from "../support/edge.ts";

const DAY = 24 * 60 * 60_000;
const JUNE = Date.parse("2026-06-03T00:00:00Z");
const JULY = Date.parse("2026-07-31T23:00:00Z");

const exec = (account: TestAccount, ...args: Parameters<SqlStorage["exec"]>) =>
	runInDurableObject(account.stub, (_, { storage: { sql } }) =>
		sql.exec(...args).toArray(),
	);

/** Jobs of a time that cost nothing, each held and released, as the account would have them. */
async function jobs(account: TestAccount, at: number, count: number) {
	const numbers = `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?)`;
	await exec(
		account,
		`${numbers} INSERT INTO gone_job (id, body_hash, model, hold, created_at, status, expires_in,
				price, balance, settled_at)
			SELECT 'j' || ? || i, 'a', 'nano', 10, ?, 'failed', 1, 0, 1000, ? FROM n`,
		count - 1,
		String(at),
		at,
		at,
	);
	await exec(
		account,
		`${numbers} INSERT INTO entry
				(at, kind, ref, source, target, amount, funding, available, held, revenue)
			SELECT ?, iif(i % 2 = 0, 'hold', 'release'), 'j' || ? || (i / 2),
				iif(i % 2 = 0, 'available', 'held'), iif(i % 2 = 0, 'held', 'available'), 10, -1000,
				1000 - 10 * ((i + 1) % 2), 10 * ((i + 1) % 2), 0 FROM n`,
		2 * count - 1,
		at,
		String(at),
	);
}

/** An account with a credit and `june` jobs in June, two in July, and one now. */
async function old(june: number): Promise<TestAccount> {
	const account = await newAccount();
	const { stub } = account;
	await runInDurableObject(stub, (object: Account) => {
		object.clock = () => JUNE;
	});
	unwrap(await stub.credit({ id: "of June", amount: 1000 }));
	await runInDurableObject(stub, (object: Account) => {
		object.clock = () => Date.now();
	});
	await jobs(account, JUNE, june);
	await jobs(account, JULY, 2);
	const { jobId } = admissionOf(account);
	unwrap(await stub.admit(admissionOf(account, { jobId, maxPrice: 10 })));
	await stub.settle({ jobId, status: "succeeded", price: 1, parts: [] });
	return account;
}

/** Does what is due, one alarm after the other, until nothing about the ledger is due now. */
async function roll(
	account: TestAccount,
	afterEach: () => Promise<void> = async () => {},
): Promise<void> {
	await exec(account, "UPDATE due SET at = 1 WHERE key = 'ledger:audit'");
	for (let n = 0; n < 40; n++) {
		const due = await exec(
			account,
			"SELECT key FROM due WHERE key LIKE 'ledger:%' AND at <= ?",
			Date.now(),
		);
		if (due.length === 0) return;
		await runInDurableObject(account.stub, (object: Account) => object.alarm());
		await afterEach();
	}
	throw new Error("it never ends");
}

async function page(account: TestAccount, query: string): Promise<Response> {
	return edge.fetch(`http://edge.test/v1/ledger?${query}`, {
		headers: { Authorization: `Bearer ${account.key}` },
	});
}

/** The whole statement. */
async function statement(account: TestAccount, query = ""): Promise<Wire[]> {
	const found: Wire[] = [];
	let cursor: string | null = null;
	do {
		const response = await page(
			account,
			`limit=1000${query}${cursor ? `&cursor=${cursor}` : ""}`,
		);
		expect(response.status).toBe(200);
		const body: Wire = await response.json();
		found.push(...body.data);
		cursor = body.next_cursor;
	} while (cursor);
	return found;
}

const seqs = async (account: TestAccount) =>
	(await exec(account, "SELECT seq FROM entry ORDER BY seq")).map(
		({ seq }) => seq,
	);

describe("months that ended", () => {
	it("go to the bucket in parts, and the statement shows the same as before", async () => {
		const store = bucket();
		const account = await old(3_000);
		const before = await statement(account);
		expect(before.map(({ seq }) => seq)).toEqual(
			Array.from({ length: 6_007 }, (_, n) => 6_007 - n),
		);
		const queries = [
			"&kind=credit",
			"&kind=settle",
			"&before=2026-07-01T00:00:00Z&kind=hold",
			"&after=2026-07-01T00:00:00Z&before=2026-09-01T00:00:00Z",
		];
		const filtered = [];
		for (const query of queries) filtered.push(await statement(account, query));
		expect(filtered.map(({ length }) => length)).toEqual([1, 1, 3_000, 4]);
		// After each step the same.
		await roll(account, async () => {
			const [first] = await statement(account, "&kind=settle");
			expect(first).toEqual(before[0]);
		});
		expect(store.keys("ledger/")).toEqual(
			["2026-06/1", "2026-06/5001", "2026-07/6002"].flatMap((name) => [
				`ledger/${account.id}/${name}.jsonl`,
				`ledger/${account.id}/${name}.snapshot.json`,
			]),
		);
		expect(await seqs(account)).toEqual([6_006, 6_007]);
		expect(await statement(account)).toEqual(before);
		for (const [n, query] of queries.entries())
			expect(await statement(account, query)).toEqual(filtered[n]);
		// Pages of any length, across table and parts.
		const short = await (await page(account, "limit=4")).json<Wire>();
		expect(short.data).toEqual(before.slice(0, 4));
		const next = await page(account, `limit=4&cursor=${short.next_cursor}`);
		expect((await next.json<Wire>()).data).toEqual(before.slice(4, 8));
		const { available } = unwrap(await account.stub.show()).account;
		expect(available).toBe(999);
	});

	it("are not lost or doubled, whatever fails or dies at any step", async () => {
		const store = bucket();
		const account = await old(600);
		const before = await statement(account);
		await roll(account, async () => {});
		const whole = new Map(store.objects);
		const other = await old(600);
		const expected = await statement(other);
		expect(expected.length).toBe(before.length);
		store.objects.clear();
		// Each attempt gets one call to the bucket further than the one before.
		let calls = 0;
		let allowed = 0;
		const fetch = store.fetch.bind(store);
		store.fetch = async (request) => {
			if (request.url.includes("/ledger/") && ++calls > allowed)
				return new Response(null, { status: 403 });
			return fetch(request);
		};
		const left = async () =>
			(await exec(other, "SELECT 1 FROM entry WHERE at < ?", JULY + DAY))
				.length;
		for (let n = 1; n < 40 && (await left()) > 0; n++) {
			calls = 0;
			await runInDurableObject(other.stub, (object: Account) => {
				// Beyond the next try, and far from the real alarm.
				object.clock = () => Date.now() + DAY + n * 60_000;
				return object.alarm();
			});
			if (calls > allowed) allowed++;
			const stop = allowed;
			allowed = 99;
			calls = 0;
			expect(await statement(other)).toEqual(expected);
			allowed = stop;
		}
		expect(allowed).toBe(4);
		expect(await left()).toBe(0);
		const named = (keys: Iterable<string>) =>
			[...keys].map((key) => key.split("/").slice(2).join("/")).sort();
		expect(named(store.objects.keys())).toEqual(named(whole.keys()));
	});

	it("stay where that they are in the bucket cannot be noted, or does not read back", async () => {
		const store = bucket();
		const account = await old(5);
		const all = await seqs(account);
		await exec(
			account,
			"CREATE TRIGGER no BEFORE INSERT ON ledger_part BEGIN SELECT RAISE(ABORT, 'no'); END",
		);
		await roll(account);
		expect(store.keys("ledger/").length).toBe(2);
		expect(await seqs(account)).toEqual(all);
		await exec(account, "DROP TRIGGER no");
		const again = async () => {
			await exec(account, "UPDATE due SET at = 1 WHERE key = 'ledger:roll'");
			await roll(account);
		};
		const fetch = store.fetch.bind(store);
		store.fetch = async (request) => {
			const response = await fetch(request);
			if (request.method !== "GET") return response;
			const bytes = new Uint8Array(await response.arrayBuffer());
			bytes[9] = (bytes[9] ?? 0) ^ 1;
			return new Response(bytes);
		};
		await again();
		expect(await seqs(account)).toEqual(all);
		store.fetch = fetch;
		await again();
		expect((await seqs(account)).length).toBe(2);
	});

	it("wait while a job of theirs is open, and what changed since its audit freezes", async () => {
		const store = bucket();
		const account = await old(5);
		await exec(
			account,
			`INSERT INTO job (id, body_hash, model, images, hold, created_at, expires_in, due_at)
				SELECT id, body_hash, model, '[]', hold, created_at, expires_in, 9e15
				FROM gone_job WHERE id = 'j${JUNE}0'`,
		);
		await exec(account, `DELETE FROM gone_job WHERE id = 'j${JUNE}0'`);
		await exec(account, "UPDATE audit SET seq = (SELECT max(seq) FROM entry)");
		await exec(account, "DELETE FROM due");
		const rollNow = async () => {
			await exec(
				account,
				"INSERT OR REPLACE INTO due VALUES ('ledger:roll', 1)",
			);
			await runInDurableObject(account.stub, (object: Account) =>
				object.alarm(),
			);
		};
		await rollNow();
		expect(store.keys("ledger/")).toEqual([]);
		expect(
			(await exec(account, "SELECT at FROM due WHERE key = 'ledger:roll'"))[0]
				?.at,
		).toBeGreaterThan(Date.now() + DAY / 2);
		await exec(
			account,
			"UPDATE entry SET available = 999, held = 1 WHERE seq = 3",
		);
		await rollNow();
		expect(store.keys("ledger/")).toEqual([]);
		expect(unwrap(await account.stub.show()).account).toMatchObject({
			frozenAt: expect.any(String),
			audit: { mismatch: "entry 3: available is 999, and 1000 follows" },
		});
	});

	it("take no credit's id along: it counts once for ever", async () => {
		bucket();
		const account = await old(5);
		await roll(account);
		expect(await seqs(account)).toEqual([16, 17]);
		const credit = (amount: number) =>
			account.stub.credit({ id: "of June", amount });
		expect(unwrap(await credit(1000)).account.available).toBe(999);
		expect(await credit(1)).toMatchObject({
			failure: { code: "credit_conflict" },
		});
		await roll(account);
		expect(unwrap(await account.stub.show()).account.frozenAt).toBeNull();
	});
});

describe("a part in the bucket", () => {
	const objects = async (store: Bucket, account: TestAccount) => {
		const [part, proof] = store
			.keys(`ledger/${account.id}/2026-06/`)
			.map((key) => store.objects.get(key)?.bytes) as [
			Uint8Array<ArrayBuffer>,
			Uint8Array<ArrayBuffer>,
		];
		const signed = JSON.parse(new TextDecoder().decode(proof));
		return { part, signed: signed as SignedSnapshot };
	};

	it("has a snapshot with the deployment's signature, that no changed byte passes", async () => {
		const store = bucket();
		const account = await old(5);
		await roll(account);
		const { part, signed } = await objects(store, account);
		const { KEY_SECRETS } = config(bindings);
		expect(signed.snapshot).toMatchObject({
			account: account.id,
			month: "2026-06",
			first_seq: 1,
			last_seq: 11,
			before: { available: 0, funding: 0 },
			after: { available: 1000, funding: -1000 },
		});
		const check = (of = part, by = signed, keys = KEY_SECRETS) =>
			verifySnapshot(keys, by, of);
		expect(await check()).toBe(true);
		expect(await check(part, signed, ["another", ...KEY_SECRETS])).toBe(true);
		expect(await check(part, signed, ["another"])).toBe(false);
		for (let n = 0; n < part.length; n += 97) {
			const spoiled = part.slice();
			spoiled[n] = (spoiled[n] ?? 0) ^ 1;
			expect(await check(spoiled)).toBe(false);
		}
		const { snapshot } = signed;
		for (const change of [
			{ account: "another" },
			{ month: "2026-07" },
			{ last_seq: 12 },
			{ after: { ...snapshot.after, available: 1001 } },
		])
			expect(
				await check(part, { ...signed, snapshot: { ...snapshot, ...change } }),
			).toBe(false);
	});

	it("that is gone or spoiled is no empty page: the caller may try again", async () => {
		const store = bucket();
		const account = await old(5);
		await roll(account);
		const [key = ""] = store.keys(`ledger/${account.id}/2026-06/`);
		const { bytes, ...rest } = store.objects.get(key) as never as {
			bytes: Uint8Array<ArrayBuffer>;
			contentType: string;
		};
		store.objects.set(key, { ...rest, bytes: bytes.slice(1) });
		const code = async () => {
			const response = await page(account, "");
			return [response.status, (await response.json<Wire>()).code];
		};
		expect(await code()).toEqual([503, "storage_unavailable"]);
		store.objects.delete(key);
		expect(await code()).toEqual([503, "storage_unavailable"]);
		store.objects.set(key, { ...rest, bytes });
		expect(await code()).toEqual([200, undefined]);
		// What is newer is shown.
		store.objects.delete(key);
		expect((await page(account, "limit=4")).status).toBe(200);
	});
});

describe("the part that goes next", () => {
	const rows = fc
		.array(fc.nat({ max: 90 * DAY }), { minLength: 1, maxLength: 80 })
		.map((times) => times.map((ms) => ({ at: JUNE + ms })));

	it("is of the first entry's month, in order, and never the newest", () => {
		fc.assert(
			fc.property(rows, fc.boolean(), (unsorted, sorted) => {
				const list = sorted
					? unsorted.toSorted((a, b) => a.at - b.at)
					: unsorted;
				const [oldest, newest] = [list[0], list.at(-1)] as [
					{ at: number },
					{ at: number },
				];
				const at = rollsAt(oldest, newest);
				if (at === null) {
					expect(newest.at).toBeLessThan(endOfMonth(oldest.at));
					return;
				}
				expect(at - endOfMonth(oldest.at)).toBe(35 * DAY);
				const part = cutPart(list);
				expect(part.length).toBeGreaterThan(0);
				expect(part.length).toBeLessThan(list.length);
				expect(part).toEqual(list.slice(0, part.length));
				if (sorted)
					expect(new Set(part.map((row) => monthOf(row.at))).size).toBe(1);
			}),
		);
	});

	it("has no more entries than a page may read", () => {
		const many = Array.from({ length: PART + 1 }, () => ({ at: JUNE }));
		expect(cutPart(many).length).toBe(PART);
	});
});
