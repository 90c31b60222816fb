import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { unwrap } from "../../src/errors.ts";
import {
	admissionOf,
	newAccount,
	type TestAccount,
} from "../support/account.ts";
import { refusal, type Wire } from "../support/calls.ts";
import { edge } from "../support/edge.ts";

const get = (account: TestAccount, query = "", headers = {}) =>
	edge.fetch(`http://edge.test/v1/ledger${query}`, {
		headers: { Authorization: `Bearer ${account.key}`, ...headers },
	});
const list = async (account: TestAccount, query = ""): Promise<Wire> => {
	const response = await get(account, query);
	expect(response.status).toBe(200);
	return response.json();
};

/** A job that is admitted, and settled where it has a price. @returns its id */
async function job(account: TestAccount, price: number | null) {
	const admission = admissionOf(account, { maxPrice: 1000 });
	unwrap(await account.stub.admit(admission));
	const { jobId } = admission;
	const status = price === 0 ? "failed" : "succeeded";
	if (price !== null)
		await account.stub.settle({ jobId, status, price, parts: [] });
	return jobId;
}

/** All pages, joined. */
async function all(account: TestAccount, query: string): Promise<Wire[]> {
	const found: Wire[] = [];
	let cursor: string | null = null;
	do {
		const page: Wire = await list(
			account,
			`?${query}${cursor ? `&cursor=${cursor}` : ""}`,
		);
		found.push(...page.data);
		cursor = page.next_cursor;
	} while (cursor);
	return found;
}

/** Puts entries of these times behind each other into the ledger, each a credit of 1. */
const credits = (account: TestAccount, times: number[]) =>
	runInDurableObject(account.stub, (_, { storage: { sql } }) => {
		for (const [n, at] of times.entries())
			sql.exec(
				`INSERT INTO entry (at, kind, ref, source, target, amount, funding, available, held,
					revenue) VALUES (?, 'credit', ?, 'funding', 'available', 1, ?, ?, 0, 0)`,
				at,
				`c${n}`,
				-n - 1,
				n + 1,
			);
	});

describe("GET /v1/ledger", () => {
	it("shows each movement of money, newest first, and the balance after it", async () => {
		const account = await newAccount(5_000);
		const paid = await job(account, 300);
		const free = await job(account, 0);
		const open = await job(account, null);
		const { data, next_cursor } = await list(account);
		expect(next_cursor).toBeNull();
		const line = (
			kind: string,
			of: object,
			amount: number,
			price: number | null,
			available: number,
			held: number,
		) => ({
			kind,
			job: null,
			credit: null,
			...of,
			amount,
			price,
			balance: { available, held },
		});
		expect(
			data.map(({ id, seq, object, created_at, ...rest }: Wire) => {
				expect([id, object]).toEqual([
					`led_${account.id}_${seq}`,
					"ledger_entry",
				]);
				expect(created_at).toMatch(/^\d{4}-.*Z$/);
				return rest;
			}),
		).toEqual([
			line("hold", { job: open }, -1000, null, 3_700, 1000),
			line("release", { job: free }, 1000, 0, 4_700, 0),
			line("hold", { job: free }, -1000, null, 3_700, 1000),
			line("settle", { job: paid }, 700, 300, 4_700, 0),
			line("hold", { job: paid }, -1000, null, 4_000, 1000),
			line("credit", { credit: "first" }, 5_000, null, 5_000, 0),
		]);
		expect(data.map(({ seq }: Wire) => seq)).toEqual([6, 5, 4, 3, 2, 1]);
		// What changed adds up to what is available.
		const sum = data.reduce((n: number, { amount }: Wire) => n + amount, 0);
		expect(sum).toBe(data[0].balance.available);
	});

	it("is empty where no money moved", async () => {
		expect(await list(await newAccount())).toEqual({
			data: [],
			next_cursor: null,
		});
	});

	it("pages each entry once, while new ones come in", async () => {
		const account = await newAccount(50_000);
		for (let n = 0; n < 4; n++) await job(account, 1);
		const seen: number[] = [];
		let cursor: string | null = null;
		do {
			const page: Wire = await list(
				account,
				`?limit=2${cursor ? `&cursor=${cursor}` : ""}`,
			);
			seen.push(...page.data.map(({ seq }: Wire) => seq));
			cursor = page.next_cursor;
			await job(account, 1);
		} while (cursor);
		expect(seen).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1]);
		expect(await refusal(await get(account, "?cursor=x"))).toEqual([
			400,
			"invalid_request",
			"cursor",
		]);
	});

	it("shows one kind, or the entries of a time: its start in, its end out", async () => {
		const account = await newAccount(5_000);
		await job(account, 300);
		await job(account, 0);
		const kinds = (await all(account, "kind=hold&limit=1")).map(
			({ kind }) => kind,
		);
		expect(kinds).toEqual(["hold", "hold"]);
		const other = await newAccount();
		const hour = 3_600_000;
		const start = Date.parse("2026-11-01T00:00:00Z");
		// One came while the clock was behind.
		const times = [-hour, -1, 0, 1, -2, hour, 2 * hour, 9 * hour];
		await credits(
			other,
			times.map((ms) => start + ms),
		);
		const at = (ms: number) => new Date(start + ms).toISOString();
		const found = async (query: string) =>
			(await all(other, `${query}&limit=2`))
				.map(({ created_at }) => Date.parse(created_at) - start)
				.reverse();
		expect(await found(`after=${at(0)}`)).toEqual([
			0,
			1,
			hour,
			2 * hour,
			9 * hour,
		]);
		expect(await found(`before=${at(0)}`)).toEqual([-hour, -1, -2]);
		expect(await found(`after=${at(1)}&before=${at(2 * hour)}`)).toEqual([
			1,
			hour,
		]);
		expect(await found(`after=${at(10 * hour)}`)).toEqual([]);
		expect(await refusal(await get(other, "?before=yesterday"))).toEqual([
			400,
			"invalid_request",
			"before",
		]);
	});

	it("reads no more rows of a long ledger, however few match, and finds them all", async () => {
		const account = await newAccount();
		await runInDurableObject(account.stub, (_, { storage: { sql } }) => {
			sql.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
				INSERT INTO entry
					(at, kind, ref, source, target, amount, funding, available, held, revenue)
				SELECT i * 1000, iif(i % 10000 = 1, 'credit', 'hold'), 'r' || i, 'funding', 'available',
					0, 0, 0, 0, 0 FROM n`);
		});
		const page = { limit: 100, after: null, before: null, cursor: null };
		await runInDurableObject(account.stub, async (object, { storage }) => {
			const cursors: SqlStorageCursor<never>[] = [];
			const { sql } = storage;
			const exec = sql.exec.bind(sql);
			sql.exec = ((...args: Parameters<typeof exec>) => {
				const cursor = exec(...args);
				cursors.push(cursor as never);
				return cursor;
			}) as typeof sql.exec;
			const { statement } = object as unknown as TestAccount["stub"];
			const call = { ...account.credential, scope: "billing:read" as const };
			for (const more of [
				{ kind: "credit" as const },
				{ kind: null, before: 15_000_000 },
				{ kind: "credit" as const, after: 1, before: 4_000_000 },
			])
				unwrap(await statement.call(object, call, { ...page, ...more }));
			sql.exec = exec;
			const most = Math.max(...cursors.map(({ rowsRead }) => rowsRead));
			expect(most).toBeLessThan(6_000);
		});
		const found = await all(account, "kind=credit");
		expect(found.map(({ seq }) => seq)).toEqual([20_001, 10_001, 1]);
		const [first] = await all(account, "before=1970-01-01T00:00:09.000Z");
		expect(first.seq).toBe(8);
	});

	it("comes as CSV for who asks, with the next page in a header", async () => {
		const account = await newAccount(5_000);
		const id = await job(account, 300);
		const response = await get(account, "?limit=2&kind=settle", {
			Accept: "text/csv",
		});
		expect(response.headers.get("Content-Type")).toBe(
			"text/csv; charset=utf-8",
		);
		expect(response.headers.get("Link")).toBeNull();
		const [header, line, end] = (await response.text()).split("\r\n");
		expect(header).toBe(
			"seq,created_at,kind,job,credit,amount,price,available,held",
		);
		expect(line).toMatch(
			new RegExp(`^3,\\d{4}-[^,]+Z,settle,${id},,700,300,4700,0$`),
		);
		expect(end).toBe("");
		const first = await get(account, "?limit=2", { Accept: "text/csv" });
		const [, next] = /^<(.+)>; rel="next"$/.exec(
			first.headers.get("Link") ?? "",
		) as unknown as [string, string];
		const { pathname, search } = new URL(next);
		expect(pathname).toBe("/v1/ledger");
		expect((await list(account, search)).data).toMatchObject([{ seq: 1 }]);
	});
});
