import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { dump, newAccount } from "../support/account.ts";
import { JOB_REQUEST, refusal, type Wire } from "../support/calls.ts";
import { edge } from "../support/edge.ts";

const HOME = "https://app.example.com";

const api = (
	key: string,
	path: string,
	{
		method,
		body,
		origin,
	}: { method?: string; body?: unknown; origin?: string } = {},
) =>
	edge.fetch(`http://edge.test/v1${path}`, {
		method: method ?? (body === undefined ? "GET" : "POST"),
		headers: {
			Authorization: `Bearer ${key}`,
			...(origin !== undefined && { Origin: origin }),
			...(body !== undefined && { "Content-Type": "application/json" }),
		},
		body: body === undefined ? null : JSON.stringify(body),
	});

const create = async (key: string, body: object): Promise<Wire> => {
	const response = await api(key, "/keys", { body });
	expect(response.status).toBe(201);
	return response.json();
};
const list = async (key: string): Promise<Wire[]> =>
	(await (await api(key, "/keys")).json<{ data: Wire[] }>()).data;

describe("an owner's keys", () => {
	it("are for any page where their origins are null, as where they are left out", async () => {
		const account = await newAccount();
		const body = { name: "any", origins: null };
		expect(await create(account.key, body)).toMatchObject({ origins: null });
	});

	it("are made, shown once, listed without their secrets, and revoked", async () => {
		const account = await newAccount();
		const response = await api(account.key, "/keys", { body: { name: "ci" } });
		expect([response.status, response.headers.get("Cache-Control")]).toEqual([
			201,
			"no-store",
		]);
		const { key, ...rest } = await response.json<Wire>();
		expect(key).toMatch(new RegExp(`^mg_live_${account.id}_`));
		expect(rest).toMatchObject({
			object: "key",
			name: "ci",
			revoked_at: null,
			origins: null,
			current: false,
		});
		const listed = await api(account.key, "/keys");
		const text = await listed.text();
		expect(text).not.toContain("mg_live_");
		expect(JSON.parse(text)).toEqual({
			data: [expect.objectContaining({ name: "test", current: true }), rest],
			next_cursor: null,
		});
		expect((await list(key)).map(({ current }) => current)).toEqual([
			false,
			true,
		]);

		const revoke = () =>
			api(account.key, `/keys/${rest.id}`, { method: "DELETE" });
		const first = await (await revoke()).json<Wire>();
		expect(first).toEqual({ ...rest, revoked_at: expect.any(String) });
		expect(await (await revoke()).json()).toEqual(first);
		expect(await refusal(await api(key, "/account"))).toEqual([
			401,
			"revoked_key",
		]);
	});

	it("never all go: the last one that can make others is not revoked", async () => {
		const { key } = await newAccount();
		const [own] = await list(key);
		const revoke = (id: string, by = key) =>
			api(by, `/keys/${id}`, { method: "DELETE" });
		expect(await refusal(await revoke(own.id))).toEqual([409, "last_key"]);
		await create(key, { name: "page", origins: [HOME] });
		expect(await refusal(await revoke(own.id))).toEqual([409, "last_key"]);
		const second = await create(key, { name: "second" });
		expect((await revoke(own.id)).status).toBe(200);
		expect(await refusal(await revoke(second.id, second.key))).toEqual([
			409,
			"last_key",
		]);
		expect((await api(second.key, "/account")).status).toBe(200);
	});

	it("are the account's own: another account's key is unknown", async () => {
		const [one, other] = [await newAccount(), await newAccount()];
		const [foreign] = await list(other.key);
		const answer = await api(one.key, `/keys/${foreign.id}`, {
			method: "DELETE",
		});
		expect(await refusal(answer)).toEqual([404, "key_not_found"]);
		expect((await api(other.key, "/account")).status).toBe(200);
	});

	it("are at most a hundred that live, and the last hundred revoked ones are known", async () => {
		const account = await newAccount();
		await runInDurableObject(account.stub, (_, { storage }) => {
			for (let n = 0; n < 250; n++)
				storage.sql.exec(
					"INSERT INTO key VALUES (?, 'k', ?, 1, ?, NULL)",
					`key_${String(n).padStart(3, "0")}`,
					`hash ${n}`,
					n < 151 ? n : null,
				);
		});
		const full = await api(account.key, "/keys", { body: { name: "more" } });
		expect(await refusal(full)).toEqual([409, "too_many_keys"]);
		const revoked = await api(account.key, "/keys/key_200", {
			method: "DELETE",
		});
		expect(revoked.status).toBe(200);
		const keys = await list(account.key);
		const gone = keys.filter((key) => key.revoked_at);
		expect([keys.length, gone.length]).toEqual([199, 100]);
		expect(gone.map(({ id }) => id)).toContain("key_200");
		await create(account.key, { name: "more" });
	});
});

describe("a key with origins", () => {
	it("works on their pages, and on no other page and no server", async () => {
		const { key } = await newAccount();
		const local = "http://localhost:5173";
		const page = await create(key, { name: "p", origins: [HOME, local, HOME] });
		expect(page.origins).toEqual([HOME, local]);
		const at = (origin?: string) =>
			api(page.key, "/jobs", origin === undefined ? {} : { origin });
		for (const origin of [HOME, local])
			expect((await at(origin)).status).toBe(200);
		expect(await refusal(await at())).toEqual([403, "origin_required"]);
		for (const origin of [
			"https://evil.example",
			"http://app.example.com",
			"https://app.example.com:8443",
			"https://app.example.com.evil.example",
			"https://sub.app.example.com",
			"http://localhost:5174",
			"null",
		]) {
			const response = await at(origin);
			const { code, status, detail } = await response.json<Wire>();
			expect([status, code]).toEqual([403, "origin_not_allowed"]);
			expect(detail).toContain(origin);
			expect(detail).toContain("POST /v1/keys");
		}
		for (const origin of ["null", undefined])
			expect(
				(await api(key, "/account", origin ? { origin } : {})).status,
			).toBe(200);
	});

	it("is refused on another page before anything is done or counted", async () => {
		const account = await newAccount(5000);
		const page = await create(account.key, { name: "p", origins: [HOME] });
		const before = await dump(account.stub);
		const left = async () =>
			(await api(account.key, "/account")).headers.get("RateLimit");
		const [, remaining] = /r=(\d+)/.exec((await left()) ?? "") ?? [];
		const origin = "https://evil.example";
		const ulid = "01JD8Z6Q3V9Y4K2M7N5P8R1S3T";
		const image = {
			content_type: "image/png",
			bytes: 9,
			sha256: "c".repeat(64),
		};
		for (const [method, path, body] of [
			["POST", "/jobs", JOB_REQUEST],
			["PUT", `/jobs/${ulid}`, JOB_REQUEST],
			["GET", "/jobs", undefined],
			["GET", `/jobs/${ulid}`, undefined],
			["GET", `/jobs/${ulid}/events`, undefined],
			["POST", `/jobs/${ulid}/cancel`, undefined],
			["DELETE", `/jobs/${ulid}`, undefined],
			["POST", "/uploads", image],
			["GET", `/uploads/img_${ulid}`, undefined],
			["DELETE", `/uploads/img_${ulid}`, undefined],
			["GET", "/account", undefined],
			["GET", "/keys", undefined],
			["GET", "/events", undefined],
			["GET", "/webhooks", undefined],
			["GET", "/webhooks/secret", undefined],
			["POST", "/webhooks", { url: "https://example.com/hook" }],
			["POST", "/keys", { name: "k" }],
			["DELETE", `/keys/${page.id}`, undefined],
		] as const) {
			const response = await api(page.key, path, { method, body, origin });
			expect([method, path, ...(await refusal(response))]).toEqual([
				method,
				path,
				403,
				"origin_not_allowed",
			]);
		}
		const chat = await api(page.key, "/chat/completions", {
			body: { model: "nano", messages: [{ role: "user", content: "Hi" }] },
			origin,
		});
		expect(chat.status).toBe(403);
		expect((await chat.json<Wire>()).error.code).toBe("origin_not_allowed");
		expect(await dump(account.stub)).toEqual(before);
		const [, now] = /r=(\d+)/.exec((await left()) ?? "") ?? [];
		// The other call that looks counts itself; time may give some back.
		expect(Number(now)).toBeGreaterThanOrEqual(Number(remaining) - 1);
	});

	it("makes and revokes no keys, so that it cannot outlive its own end", async () => {
		const { key } = await newAccount();
		const page = await create(key, { name: "p", origins: [HOME] });
		const [own] = await list(key);
		for (const response of [
			await api(page.key, "/keys", { body: { name: "k" }, origin: HOME }),
			await api(page.key, "/keys", { body: { name: "k" } }),
			await api(page.key, `/keys/${own.id}`, { method: "DELETE" }),
		])
			expect(await refusal(response)).toEqual([403, "bound_key"]);
		expect(await list(key)).toHaveLength(2);
	});

	it.each([
		["https://app.example.com/", "`https://app.example.com`"],
		["https://app.example.com:443", "`https://app.example.com`"],
		["https://App.Example.com", "`https://app.example.com`"],
		["https://app.example.com/path?x=1", "`https://app.example.com`"],
		["https://user:pass@app.example.com", "`https://app.example.com`"],
		["app.example.com", "scheme, host and port"],
		["https://*.example.com", "without wildcards"],
		["*", "without wildcards"],
		["null", "scheme, host and port"],
		["", "scheme, host and port"],
		["file:///x", "scheme, host and port"],
		["https://", "scheme, host and port"],
	])(
		"is not made for %j, and the refusal says what to write",
		async (origin, says) => {
			const { key } = await newAccount();
			const body = { name: "p", origins: [HOME, origin] };
			const response = await api(key, "/keys", { body });
			const { status, code, field, detail } = await response.json<Wire>();
			expect([status, code, field]).toEqual([
				400,
				"invalid_request",
				"origins[1]",
			]);
			expect(detail).toContain(says);
			expect(await list(key)).toHaveLength(1);
		},
	);

	it("is not made for no page at all", async () => {
		const { key } = await newAccount();
		const response = await api(key, "/keys", {
			body: { name: "p", origins: [] },
		});
		expect(await refusal(response)).toEqual([
			400,
			"invalid_request",
			"origins",
		]);
	});
});
