import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { Account } from "../../src/account/account.ts";
import { app } from "../../src/app.ts";
import { PAGE_SCOPES, SCOPES } from "../../src/scopes.ts";
import { newAccount } from "../support/account.ts";
import { JOB_REQUEST, refusal } from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { eventually } from "../support/eventually.ts";
import { fakeWorker, gate, words } from "../support/jobs.ts";

const SECRET = "test-admin-secret-test-admin-secret";

interface Answer {
	status: number;
	// biome-ignore lint/suspicious/noExplicitAny: the wire is what these tests look at
	body: any;
	headers: Headers;
}

async function admin(
	method: string,
	path: string,
	body?: unknown,
	authorization: string | null = `Bearer ${SECRET}`,
): Promise<Answer> {
	const headers = new Headers();
	if (authorization) headers.set("Authorization", authorization);
	if (body !== undefined) headers.set("Content-Type", "application/json");
	const response = await edge.fetch(`http://edge.test/admin${path}`, {
		method,
		headers,
		body: body === undefined ? null : JSON.stringify(body),
	});
	return {
		status: response.status,
		body: await response.json(),
		headers: response.headers,
	};
}

const newAccountId = async (): Promise<string> =>
	(await admin("POST", "/accounts", { name: "Ada" })).body.id;

describe("the admin routes", () => {
	it("do not exist while no admin secret is set", async () => {
		const response = await app.request(
			"/admin/accounts",
			{ method: "POST", headers: { Authorization: "Bearer " } },
			{ ...env, ADMIN_SECRET: undefined },
		);
		expect(response.status).toBe(404);
		expect(await response.json()).toMatchObject({ code: "not_found" });
	});

	it.each([
		["no secret", null],
		["another secret", "Bearer test-admin-secret-test-admin-secreT"],
		["a longer secret", `Bearer ${SECRET}x`],
		["another scheme", `Basic ${SECRET}`],
	])("refuse %s, before they read the body", async (_, authorization) => {
		const { status, body } = await admin(
			"POST",
			"/accounts",
			{ nonsense: 1 },
			authorization,
		);
		expect([status, body.code]).toEqual([401, "invalid_admin_secret"]);
	});

	it("create an account and show it", async () => {
		const created = await admin("POST", "/accounts", { name: "Ada" });
		expect(created.status).toBe(201);
		expect(created.body).toMatchObject({
			object: "account",
			name: "Ada",
			balance: { available: 0, held: 0 },
		});
		const shown = await admin("GET", `/accounts/${created.body.id}`);
		expect([shown.status, shown.body]).toEqual([200, created.body]);
		expect(created.headers.get("Location")).toBe(
			`/admin/accounts/${created.body.id}`,
		);
	});

	it("answer 404 for an account that is not there, whatever is asked of it", async () => {
		for (const id of ["0123456789abcdef", "no-account-id", "%00"])
			for (const [method, path, body] of [
				["GET", "", undefined],
				["POST", "/credits", { id: "c", amount: 1 }],
				["POST", "/keys", { name: "k" }],
				["GET", "/keys", undefined],
				["DELETE", "/keys/key_1", undefined],
				["POST", "/suspend", undefined],
				["POST", "/resume", undefined],
				["POST", "/unfreeze", undefined],
				["POST", "/keys/key_1/suspend", undefined],
				["POST", "/keys/key_1/resume", undefined],
			] as const) {
				const answer = await admin(method, `/accounts/${id}${path}`, body);
				expect([answer.status, answer.body.code]).toEqual([
					404,
					"account_not_found",
				]);
			}
	});

	it("add credit once per id", async () => {
		const id = await newAccountId();
		const credit = (amount: number) =>
			admin("POST", `/accounts/${id}/credits`, { id: "c1", amount });
		expect((await credit(5_000_000)).body.balance.available).toBe(5_000_000);
		expect((await credit(5_000_000)).body.balance.available).toBe(5_000_000);
		const other = await credit(1);
		expect([other.status, other.body.code]).toEqual([409, "credit_conflict"]);
	});

	it.each([
		["amount", { id: "c", amount: 0 }],
		["amount", { id: "c", amount: 1.5 }],
		["amount", { id: "c", amount: "5" }],
		["id", { amount: 5 }],
		["currency", { id: "c", amount: 5, currency: "EUR" }],
	])("name the wrong field of a credit: %s", async (field, wrong) => {
		const id = await newAccountId();
		const { status, body } = await admin(
			"POST",
			`/accounts/${id}/credits`,
			wrong,
		);
		expect([status, body.code, body.field]).toEqual([
			400,
			"invalid_request",
			field,
		]);
	});

	it("show a key once, list it without its secret, and revoke it", async () => {
		const id = await newAccountId();
		const created = await admin("POST", `/accounts/${id}/keys`, { name: "ci" });
		expect(created.status).toBe(201);
		expect(created.body.key).toMatch(new RegExp(`^mg_live_${id}_`));
		const { key, ...rest } = created.body;

		const listed = await admin("GET", `/accounts/${id}/keys`);
		expect(listed.body).toEqual({ data: [rest], next_cursor: null });

		const revoked = await admin("DELETE", `/accounts/${id}/keys/${rest.id}`);
		expect(revoked.status).toBe(200);
		expect(revoked.body.revoked_at).not.toBeNull();
		const unknown = await admin("DELETE", `/accounts/${id}/keys/key_none`);
		expect([unknown.status, unknown.body.code]).toEqual([404, "key_not_found"]);
		const response = await edge.fetch("http://edge.test/v1/account", {
			headers: { Authorization: `Bearer ${key}` },
		});
		expect(await response.json()).toMatchObject({ code: "revoked_key" });
	});

	it("make a key that can do everything, so that the account can have others", async () => {
		const id = await newAccountId();
		const make = async (body: object) =>
			(await admin("POST", `/accounts/${id}/keys`, body)).body;
		expect((await make({ name: "first" })).scopes).toEqual(SCOPES);
		expect(
			(await make({ name: "p", origins: ["https://app.example.com"] })).scopes,
		).toEqual(PAGE_SCOPES);
		const scopes = ["billing:read"];
		expect((await make({ name: "books", scopes })).scopes).toEqual(scopes);
	});

	it("say what they allow", async () => {
		const { status, body, headers } = await admin("DELETE", "/accounts");
		expect([status, body.code]).toEqual([405, "method_not_allowed"]);
		expect(headers.get("Allow")).toBe("GET, POST");
	});
});

describe("an account that an audit froze", () => {
	it("is shown with what is wrong, gets no new job, and is let go", async () => {
		const account = await newAccount(5_000);
		await runInDurableObject(
			account.stub,
			async (object: Account, { storage: { sql } }) => {
				sql.exec("UPDATE entry SET at = at + 1");
				sql.exec("UPDATE due SET at = 1 WHERE key = 'ledger:audit'");
				await object.alarm();
			},
		);
		const path = `/accounts/${account.id}`;
		const frozen = (await admin("GET", path)).body;
		expect(frozen).toMatchObject({
			frozen_at: expect.stringMatching(/Z$/),
			audit: {
				checked_at: frozen.frozen_at,
				last_seq: 0,
				mismatch: expect.stringMatching(/^entry 1: the credit was 5000 at/),
			},
		});
		const ask = () =>
			edge.fetch("http://edge.test/v1/jobs", {
				method: "POST",
				headers: {
					Authorization: `Bearer ${account.key}`,
					"Content-Type": "application/json",
				},
				body: JSON.stringify(JOB_REQUEST),
			});
		expect(await refusal(await ask())).toEqual([403, "account_frozen"]);
		const own = await edge.fetch("http://edge.test/v1/account", {
			headers: { Authorization: `Bearer ${account.key}` },
		});
		const { audit, closed_at: _, ...rest } = frozen;
		expect(await own.json()).toEqual(rest);
		const thawed = await admin("POST", `${path}/unfreeze`);
		expect(thawed.body).toEqual({
			...frozen,
			frozen_at: null,
			audit: { ...audit, last_seq: 1, mismatch: null },
		});
		fakeWorker({ tokens: words(1) });
		expect((await ask()).status).toBe(202);
	});
});

describe("what operators suspend", () => {
	const job = (key: string, path = "", init: RequestInit = {}) =>
		edge.fetch(`http://edge.test/v1/jobs${path}`, {
			...init,
			headers: {
				Authorization: `Bearer ${key}`,
				"Content-Type": "application/json",
			},
		});
	const ask = (key: string) =>
		job(key, "", { method: "POST", body: JSON.stringify(JOB_REQUEST) });

	it.each(["account", "key"])(
		"is refused at once, be it %s, its jobs go on and are paid for, and it is let in again",
		async (what) => {
			const { opened, open } = gate();
			fakeWorker({
				tokens: words(5),
				gate: (n) => (n === 2 ? opened : undefined),
			});
			const account = await newAccount(5_000);
			const [own] = (await admin("GET", `/accounts/${account.id}/keys`)).body
				.data;
			const path =
				what === "key"
					? `/accounts/${account.id}/keys/${own.id}`
					: `/accounts/${account.id}`;
			const { id } = await (await ask(account.key)).json<{ id: string }>();
			const balance = async () =>
				(await admin("GET", `/accounts/${account.id}`)).body.balance;

			const suspended = await admin("POST", `${path}/suspend`);
			expect([suspended.status, suspended.body.suspended_at]).toEqual([
				200,
				expect.stringMatching(/^\d{4}-/),
			]);
			// Repeating it keeps the time.
			expect((await admin("POST", `${path}/suspend`)).body).toEqual(
				suspended.body,
			);
			const code = `${what}_suspended`;
			for (const refused of [
				await ask(account.key),
				await job(account.key, `/${id}`),
				await job(account.key, `/${id}/cancel`, { method: "POST" }),
			])
				expect(await refusal(refused)).toEqual([403, code]);

			open();
			await eventually(async () => expect((await balance()).held).toBe(0));
			const resumed = await admin("POST", `${path}/resume`);
			expect([resumed.status, resumed.body.suspended_at]).toEqual([200, null]);
			expect((await admin("POST", `${path}/resume`)).status).toBe(200);
			const done = await (await job(account.key, `/${id}`)).json<{
				status: string;
				price: number;
			}>();
			expect(done.status).toBe("succeeded");
			expect(done.price).toBeGreaterThan(0);
			expect((await balance()).available).toBe(5_000 - done.price);
			expect((await ask(account.key)).status).toBe(202);
		},
	);

	it("stays suspended when the account's object restarts", async () => {
		const account = await newAccount();
		await admin("POST", `/accounts/${account.id}/suspend`);
		await evictDurableObject(account.stub);
		expect(await refusal(await job(account.key))).toEqual([
			403,
			"account_suspended",
		]);
	});

	it("is one key: the account's others go on", async () => {
		const account = await newAccount();
		const other = await admin("POST", `/accounts/${account.id}/keys`, {
			name: "other",
		});
		await admin(
			"POST",
			`/accounts/${account.id}/keys/${other.body.id}/suspend`,
		);
		expect((await job(account.key)).status).toBe(200);
		expect((await job(other.body.key)).status).toBe(403);
	});

	it("is no key that the account does not have", async () => {
		const { id } = await newAccount();
		const { status, body } = await admin(
			"POST",
			`/accounts/${id}/keys/key_none/suspend`,
		);
		expect([status, body.code]).toEqual([404, "key_not_found"]);
	});
});

describe("a JSON body", () => {
	const post = async (init: RequestInit) => {
		const response = await edge.fetch("http://edge.test/admin/accounts", {
			method: "POST",
			...init,
			headers: {
				Authorization: `Bearer ${SECRET}`,
				...(init.headers as Record<string, string>),
			},
		});
		const { code } = await response.json<{ code?: string }>();
		return [response.status, code];
	};
	const json = { "Content-Type": "application/json" };
	const bytes = (text: string) => new TextEncoder().encode(text);
	const stream = (...chunks: Uint8Array[]) => new Blob(chunks).stream();

	it.each([
		["empty", { headers: json, body: "" }, 400, "body_required"],
		["absent", {}, 400, "body_required"],
		["no JSON", { headers: json, body: '{"name":' }, 400, "invalid_json"],
		[
			"no UTF-8",
			{ headers: json, body: new Uint8Array([0x22, 0xff, 0x22]) },
			400,
			"invalid_json",
		],
		[
			"without a type",
			{ body: bytes('{"name":"a"}') },
			415,
			"unsupported_media_type",
		],
		[
			"of another type",
			{ headers: { "Content-Type": "text/plain" }, body: '{"name":"a"}' },
			415,
			"unsupported_media_type",
		],
		[
			"too large",
			{ headers: json, body: "x".repeat(64 * 1024 + 1) },
			413,
			"body_too_large",
		],
		[
			"too large in chunks of undeclared length",
			{ headers: json, body: stream(...Array(80).fill(new Uint8Array(1024))) },
			413,
			"body_too_large",
		],
		["no object", { headers: json, body: "[]" }, 400, "invalid_request"],
	])("that is %s is refused", async (_, init, status, code) => {
		expect(await post(init as RequestInit)).toEqual([status, code]);
	});

	it("with a charset, or in chunks, is read", async () => {
		const [status] = await post({
			headers: { "Content-Type": "Application/JSON; charset=utf-8" },
			body: stream(bytes('{"na'), bytes('me":"a"}')),
		});
		expect(status).toBe(201);
	});
});

describe("the OpenAPI document", () => {
	it("has the admin routes under their own security scheme", async () => {
		const response = await edge.fetch("http://edge.test/openapi.json");
		const document = await response.json<{
			paths: Record<string, Record<string, { security?: unknown }>>;
			components: { securitySchemes: Record<string, unknown> };
		}>();
		expect(Object.keys(document.components.securitySchemes)).toContain("admin");
		const paths = Object.entries(document.paths).filter(([path]) =>
			path.startsWith("/admin/"),
		);
		expect(paths.map(([path]) => path).sort()).toEqual([
			"/admin/accounts",
			"/admin/accounts/{id}",
			"/admin/accounts/{id}/credits",
			"/admin/accounts/{id}/keys",
			"/admin/accounts/{id}/keys/{key_id}",
			"/admin/accounts/{id}/keys/{key_id}/resume",
			"/admin/accounts/{id}/keys/{key_id}/suspend",
			"/admin/accounts/{id}/resume",
			"/admin/accounts/{id}/sign-in-links",
			"/admin/accounts/{id}/suspend",
			"/admin/accounts/{id}/unfreeze",
			"/admin/acts",
			"/admin/pools",
			"/admin/pools/{model}",
		]);
		for (const [, methods] of paths)
			for (const operation of Object.values(methods))
				expect(operation.security).toEqual([{ admin: [] }]);
		expect(document.paths["/v1/account"]?.get?.security).toEqual([
			{ key: ["billing:read"] },
		]);
	});
});
