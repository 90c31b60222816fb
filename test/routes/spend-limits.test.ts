import { runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Account } from "../../src/account/account.ts";
import { unwrap } from "../../src/errors.ts";
import { SCOPES } from "../../src/scopes.ts";
import {
	admissionOf,
	credentialOf,
	dump,
	newAccount,
	type TestAccount,
} from "../support/account.ts";
import {
	call,
	ended,
	HOLD,
	JOB_REQUEST,
	refusal,
	type Wire,
} from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { fakeWorker, words } from "../support/jobs.ts";

const HOME = "https://app.example.com";
const NONE = { day: null, month: null, total: null };

let account: TestAccount;
beforeEach(async () => {
	account = await newAccount(1_000_000);
});

const api = (path: string, method: string, body?: object, key = account.key) =>
	edge.fetch(`http://edge.test/v1/keys${path}`, {
		method,
		headers: {
			Authorization: `Bearer ${key}`,
			...(body && { "Content-Type": "application/json" }),
		},
		body: body ? JSON.stringify(body) : null,
	});
const make = async (body: object): Promise<Wire> =>
	(await api("", "POST", { name: "k", ...body })).json();
const change = (id: string, body: object, key?: string) =>
	api(`/${id}`, "PATCH", body, key);
const get = async (id: string): Promise<Wire> =>
	(await api(`/${id}`, "GET")).json();
const ask = ({ key }: { key: string }, headers = {}) =>
	call({ key }, "", { body: JOB_REQUEST, headers });

describe("a key with spend limits", () => {
	it("is refused the job that would pass one, with the sums, and shows what it spent", async () => {
		fakeWorker({ tokens: words(5) });
		const key = await make({ spend_limits: { day: HOLD + 20 } });
		expect(key).toMatchObject({
			spend_limits: { ...NONE, day: HOLD + 20 },
			spend: { day: 0, month: 0, total: 0, held: 0 },
		});
		const first = await (await ask(key)).json<Wire>();
		const { price } = await ended({ ...account, key: key.key }, first.id);
		expect(price).toBeGreaterThan(20);
		expect((await get(key.id)).spend).toMatchObject({
			day: price,
			month: price,
			total: price,
			held: 0,
			since: key.created_at,
		});
		const before = await dump(account.stub);
		const refused = await ask(key);
		expect(refused.status).toBe(402);
		const body = await refused.json<Wire>();
		expect(body).toMatchObject({
			code: "spend_limit_reached",
			period: "day",
			limit: HOLD + 20,
			spent: price,
			held: 0,
			left: HOLD + 20 - price,
			price: HOLD,
			resets_at: expect.stringMatching(/T00:00:00\.000Z$/),
		});
		expect(body.detail).toContain(`${HOLD + 20 - price}`);
		expect(await dump(account.stub)).toEqual(before);
		// A repeat of what it has is no new job.
		const again = { "Idempotency-Key": "a" };
		await change(key.id, { spend_limits: { day: 2 * HOLD } });
		const second = await (await ask(key, again)).json<Wire>();
		await change(key.id, { spend_limits: { day: 1 } });
		expect((await (await ask(key, again)).json<Wire>()).id).toBe(second.id);
		// Other keys are not concerned.
		expect((await ask(account)).status).toBe(202);
	});

	it("never spends more, however many ask at once", async () => {
		const { id, key } = await make({ spend_limits: { total: 10_000 } });
		const hashes = await runInDurableObject(account.stub, (_, { storage }) =>
			storage.sql
				.exec<{ hash: string }>("SELECT hash FROM secret WHERE key = ?", id)
				.toArray(),
		);
		const credential = credentialOf(hashes[0]?.hash as string);
		expect(key).toMatch(/^mg_live_/);
		const asked = Array.from({ length: 40 }, (_, n) =>
			admissionOf(account, { credential, maxPrice: 400 + n }),
		);
		const admitted = (
			await Promise.all(
				asked.map(async (admission) => ({
					admission,
					answer: await account.stub.admit(admission),
				})),
			)
		).filter(({ answer }) => answer.ok);
		const held = admitted.reduce((n, each) => n + each.admission.maxPrice, 0);
		expect(held).toBeLessThanOrEqual(10_000);
		expect(held).toBeGreaterThan(9_500);
		expect((await get(id)).spend).toMatchObject({ held, total: 0 });
		for (const [n, { admission }] of admitted.entries())
			await account.stub.settle({
				jobId: admission.jobId,
				status: n % 2 ? "succeeded" : "failed",
				price: n % 2 ? 100 : 0,
				parts: [],
			});
		const total = 100 * Math.floor(admitted.length / 2);
		expect((await get(id)).spend).toMatchObject({ held: 0, total });
	});

	it("costs one row more for each job that costs something, one without limits none", async () => {
		const rowsOf = async (credential: TestAccount["credential"]) => {
			await account.stub.admit(admissionOf(account, { credential }));
			return runInDurableObject(
				account.stub,
				async (object: Account, { storage: { sql } }) => {
					const exec = vi.spyOn(sql, "exec");
					const now = Date.now();
					object.clock = () => now;
					unwrap(await object.jobs(credential, { cursor: null, limit: 1 }));
					exec.mockClear();
					const admission = admissionOf(account, { credential });
					unwrap(await object.admit(admission));
					const { jobId } = admission;
					const outcome = { jobId, price: 1, parts: [] };
					await object.settle({ ...outcome, status: "succeeded" });
					const rows = exec.mock.results.reduce(
						(n, { value }) => n + value.rowsWritten,
						0,
					);
					exec.mockRestore();
					return rows;
				},
			);
		};
		unwrap(
			await account.stub.createKey({
				name: "limited",
				secretHash: "of the limited",
				spendLimits: { ...NONE, day: 100_000 },
			}),
		);
		expect(await rowsOf(account.credential)).toBe(9);
		expect(await rowsOf(credentialOf("of the limited"))).toBe(10);
	});

	it("tells a page's visitors no sums", async () => {
		const { key } = await make({
			origins: [HOME],
			spend_limits: { month: HOLD - 1 },
		});
		const refused = await ask({ key }, { Origin: HOME });
		const body = await refused.json<Wire>();
		expect(body).toMatchObject({
			status: 402,
			code: "spend_limit_reached",
			period: "month",
			price: HOLD,
		});
		for (const name of ["limit", "spent", "held", "left"])
			expect(body).not.toHaveProperty(name);
		expect(body.detail).not.toContain(String(HOLD - 1));
	});
});

describe("PATCH /v1/keys/{id}", () => {
	it("changes what it names, in force from the next call on, and keeps the rest", async () => {
		const made = await make({ scopes: ["jobs:write", "jobs:read"] });
		const { key, ...before } = made;
		expect(await (await change(made.id, {})).json()).toEqual(before);
		const limits = { day: 5, month: null, total: 7 };
		const changes = {
			name: "nightly",
			scopes: ["jobs:read"],
			expires_at: "2999-01-01T00:00:00.000Z",
			ip_ranges: ["203.0.113.0/24"],
			spend_limits: { day: 5, total: 7 },
		};
		const changed = await (await change(made.id, changes)).json<Wire>();
		expect(changed).toEqual({
			...before,
			...changes,
			spend_limits: limits,
			spend: { day: 0, month: 0, total: 0, held: 0, since: expect.any(String) },
		});
		expect(await refusal(await call({ key }, "/x"))).toEqual([
			403,
			"ip_not_allowed",
		]);
		await change(made.id, { ip_ranges: null, expires_at: null });
		const asked = await call({ key }, "", { body: JOB_REQUEST });
		expect(await refusal(asked)).toEqual([403, "scope_missing"]);
		const open = await (
			await change(made.id, { spend_limits: null })
		).json<Wire>();
		expect(open).toMatchObject({
			name: "nightly",
			expires_at: null,
			ip_ranges: null,
			spend_limits: null,
			spend: null,
		});
	});

	it("gives no scope that its caller lacks, and a stronger key is not the weaker's", async () => {
		const weak = await make({ scopes: ["jobs:read", "keys:admin"] });
		const reader = await make({ scopes: ["jobs:read"] });
		const strong = await make({ scopes: [...SCOPES] });
		const wider = { scopes: ["jobs:write"] };
		expect(await refusal(await change(reader.id, wider, weak.key))).toEqual([
			403,
			"scope_missing",
			"scopes",
		]);
		expect(
			await refusal(await change(strong.id, { name: "x" }, weak.key)),
		).toEqual([403, "scope_missing", "id"]);
		const name = { name: "mine" };
		expect((await change(reader.id, name, weak.key)).status).toBe(200);
	});

	it("leaves a page's key a page's, an ended key as it is, and one that makes others", async () => {
		const page = await make({ origins: [HOME] });
		const server = await make({});
		const other = ["https://other.example.com"];
		const refused = async (id: string, body: object) =>
			refusal(await change(id, body));
		const origins = [400, "invalid_request", "origins"];
		expect(await refused(page.id, { origins: null })).toEqual(origins);
		expect(await refused(server.id, { origins: other })).toEqual(origins);
		expect(await refused(page.id, { scopes: ["billing:read"] })).toEqual([
			400,
			"invalid_request",
			"scopes",
		]);
		expect(
			await (await change(page.id, { origins: other })).json(),
		).toMatchObject({ origins: other });
		const past = { expires_at: "2020-01-01T00:00:00Z" };
		expect(await refused(server.id, past)).toEqual([
			400,
			"invalid_request",
			"expires_at",
		]);
		await api(`/${server.id}`, "DELETE");
		expect(await refused(server.id, { name: "x" })).toEqual([409, "key_ended"]);
		expect(await refused("key_none", { name: "x" })).toEqual([
			404,
			"key_not_found",
		]);
		const [own] = (await (await api("", "GET")).json<Wire>()).data;
		expect(await refused(own.id, { scopes: ["jobs:read"] })).toEqual([
			409,
			"last_key",
		]);
		expect(await refused(own.id, { spend_limits: { week: 1 } })).toEqual([
			400,
			"invalid_request",
			"spend_limits.week",
		]);
	});
});
