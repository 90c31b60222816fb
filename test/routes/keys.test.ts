import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import type { Account } from "../../src/account/account.ts";
import { PAGE_SCOPES, SCOPES } from "../../src/scopes.ts";
import { dump, moveClock, newAccount } from "../support/account.ts";
import { JOB_REQUEST, refusal, type Wire } from "../support/calls.ts";
import { edge } from "../support/edge.ts";

const HOME = "https://app.example.com";
const ADMIN = ["keys:admin"];

const api = (
	key: string,
	path: string,
	{
		method,
		body,
		origin,
		ip,
		name,
	}: {
		method?: string;
		body?: unknown;
		origin?: string;
		ip?: string;
		/** Idempotency-Key. */
		name?: string;
	} = {},
) =>
	edge.fetch(`http://edge.test/v1${path}`, {
		method: method ?? (body === undefined ? "GET" : "POST"),
		headers: {
			Authorization: `Bearer ${key}`,
			...(origin !== undefined && { Origin: origin }),
			...(ip !== undefined && { "CF-Connecting-IP": ip }),
			...(name !== undefined && { "Idempotency-Key": name }),
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
			expires_at: null,
			revoked_at: null,
			suspended_at: null,
			last_used_at: null,
			origins: null,
			ip_ranges: null,
			secrets: [{ created_at: rest.created_at, expires_at: null }],
			current: false,
		});
		const listed = await api(account.key, "/keys");
		const text = await listed.text();
		expect(text).not.toContain("mg_live_");
		expect(JSON.parse(text)).toEqual({
			data: [expect.objectContaining({ name: "test", current: true }), rest],
			next_cursor: null,
		});
		const admin = await create(account.key, { name: "a", scopes: ADMIN });
		expect((await list(admin.key)).map(({ current }) => current)).toEqual([
			false,
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
		const { key, stub } = await newAccount();
		const [own] = await list(key);
		const revoke = (id: string, by = key) =>
			api(by, `/keys/${id}`, { method: "DELETE" });
		expect(await refusal(await revoke(own.id))).toEqual([409, "last_key"]);
		await create(key, { name: "page", origins: [HOME] });
		expect(await refusal(await revoke(own.id))).toEqual([409, "last_key"]);
		// Nor does a key that cannot make others count, or one that is over.
		await create(key, { name: "all but keys:admin" });
		const soon = new Date(Date.now() + 2_000).toISOString();
		const brief = await create(key, {
			name: "brief",
			scopes: ADMIN,
			expires_at: soon,
		});
		await moveClock(stub, 3_000);
		expect(await refusal(await revoke(own.id))).toEqual([409, "last_key"]);
		expect((await revoke(brief.id)).status).toBe(200);
		const second = await create(key, { name: "second", scopes: SCOPES });
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

	it("are at most a hundred that live, and the last hundred that ended are known", async () => {
		const account = await newAccount();
		await runInDurableObject(account.stub, (_, { storage }) => {
			for (let n = 0; n < 250; n++)
				storage.sql.exec(
					`INSERT INTO key (id, name, created_at, revoked_at, expires_at, scopes)
						VALUES (?, 'k', 1, ?, ?, 'jobs:read')`,
					`key_${String(n).padStart(3, "0")}`,
					// Of those that ended a third expired.
					n < 151 && n % 3 > 0 ? n : null,
					n < 151 && n % 3 === 0 ? n : null,
				);
		});
		const full = await api(account.key, "/keys", { body: { name: "more" } });
		expect(await refusal(full)).toEqual([409, "too_many_keys"]);
		const revoked = await api(account.key, "/keys/key_200", {
			method: "DELETE",
		});
		expect(revoked.status).toBe(200);
		const keys = await list(account.key);
		const gone = keys.filter((key) => key.revoked_at ?? key.expires_at);
		expect([keys.length, gone.length]).toEqual([199, 100]);
		expect(gone.map(({ id }) => id)).toContain("key_200");
		await create(account.key, { name: "more" });
	});
});

describe("a new key's scopes", () => {
	it("are all but keys:admin, unless the request names some", async () => {
		const { key } = await newAccount();
		expect((await create(key, { name: "k" })).scopes).toEqual(
			SCOPES.filter((scope) => scope !== "keys:admin"),
		);
		for (const scopes of [null, undefined])
			expect((await create(key, { name: "k", scopes })).scopes).toHaveLength(5);
		const page = await create(key, { name: "p", origins: [HOME] });
		expect(page.scopes).toEqual(PAGE_SCOPES);
		const named = ["jobs:read", "jobs:write", "jobs:read"];
		expect((await create(key, { name: "k", scopes: named })).scopes).toEqual([
			"jobs:write",
			"jobs:read",
		]);
	});

	it("are never more than those of the key that makes it", async () => {
		const { key } = await newAccount();
		const scopes = ["jobs:read", "keys:admin"];
		const maker = await create(key, { name: "maker", scopes });
		const response = await api(maker.key, "/keys", {
			body: { name: "k", scopes: ["jobs:read", "billing:read"] },
		});
		expect(await response.json()).toMatchObject({
			status: 403,
			code: "scope_missing",
			field: "scopes",
			scope: "billing:read",
			scopes,
		});
		const made = await create(maker.key, { name: "k" });
		expect(made.scopes).toEqual(["jobs:read"]);
		const heir = await create(maker.key, { name: "heir", scopes });
		expect(heir.scopes).toEqual(scopes);
		// One that can only make keys has nothing to give unless it is told what.
		const only = await create(key, { name: "only", scopes: ADMIN });
		const nothing = await api(only.key, "/keys", { body: { name: "k" } });
		expect(await refusal(nothing)).toEqual([400, "invalid_request", "scopes"]);
	});

	it("are refused where a page could not have them, or where they are none", async () => {
		const { key } = await newAccount();
		for (const [scopes, origins, field] of [
			[["billing:read"], [HOME], "scopes"],
			[["jobs:read", "keys:admin"], [HOME], "scopes"],
			[[], null, "scopes"],
			[["jobs:delete"], null, "scopes[0]"],
			["jobs:read", null, "scopes"],
		]) {
			const body = { name: "k", scopes, origins };
			expect(await refusal(await api(key, "/keys", { body }))).toEqual([
				400,
				"invalid_request",
				field,
			]);
		}
		expect(await list(key)).toHaveLength(1);
	});
});

describe("a key that expires", () => {
	it("works until then, and says from then on that it expired", async () => {
		const { key, stub } = await newAccount();
		const expires_at = new Date(Date.now() + 3_600_000).toISOString();
		const made = await create(key, { name: "k", expires_at });
		expect(made.expires_at).toBe(expires_at);
		await moveClock(stub, 3_590_000);
		expect((await api(made.key, "/account")).status).toBe(200);
		await moveClock(stub, 3_600_000);
		const refused = await api(made.key, "/account");
		expect(await refused.json()).toMatchObject({
			status: 401,
			code: "key_expired",
			expired_at: expires_at,
		});
		const [, shown] = await list(key);
		expect(shown).toMatchObject({ expires_at, secrets: [expect.anything()] });
	});

	it("is not made for the past, and may name its time in any zone", async () => {
		const { key } = await newAccount();
		const make = (expires_at: unknown) =>
			api(key, "/keys", { body: { name: "k", expires_at } });
		for (const wrong of ["2020-01-01T00:00:00Z", "tomorrow", 1, "2999-01-01"])
			expect(await refusal(await make(wrong))).toEqual([
				400,
				"invalid_request",
				"expires_at",
			]);
		const zoned = await (await make("2999-01-01T02:00:00+02:00")).json<Wire>();
		expect(zoned.expires_at).toBe("2999-01-01T00:00:00.000Z");
	});
});

describe("a key with IP ranges", () => {
	const ip_ranges = ["203.0.113.0/24", "198.51.100.7", "2001:DB8:0::/32"];

	it("works from their addresses alone", async () => {
		const { key } = await newAccount();
		const made = await create(key, { name: "k", ip_ranges });
		expect(made.ip_ranges).toEqual([
			"203.0.113.0/24",
			"198.51.100.7/32",
			"2001:db8::/32",
		]);
		const from = (ip: string) => api(made.key, "/account", { ip });
		for (const ip of [
			"203.0.113.0",
			"203.0.113.255",
			"198.51.100.7",
			"2001:db8:ffff::1",
			"::ffff:203.0.113.9",
		])
			expect([ip, (await from(ip)).status]).toEqual([ip, 200]);
		for (const ip of [
			"203.0.114.0",
			"198.51.100.8",
			"2001:db9::1",
			"203.0.113.9, 192.0.2.1",
			"nonsense",
		])
			expect(await (await from(ip)).json()).toMatchObject({
				status: 403,
				code: "ip_not_allowed",
				ip,
			});
		// Other keys do not mind where they are.
		expect((await api(key, "/account", { ip: "192.0.2.1" })).status).toBe(200);
	});

	it("is refused where nobody tells the caller's address", async () => {
		const { key } = await newAccount();
		const made = await create(key, { name: "k", ip_ranges });
		const refused = await (await api(made.key, "/account")).json<Wire>();
		expect(refused).toMatchObject({ code: "ip_not_allowed", ip: null });
		expect(refused.detail).toContain("an unknown address");
	});

	it.each([
		["203.0.113.7/24", "write `203.0.113.0/24`"],
		["2001:db8::1/32", "write `2001:db8::/32`"],
		["203.0.113.0/33", "an address or a range"],
		["203.0.113.0/024", "an address or a range"],
		["203.0.113/24", "an address or a range"],
		["0x7f.0.0.1", "an address or a range"],
		["fe80::1%eth0", "an address or a range"],
		["example.com", "an address or a range"],
		["", "an address or a range"],
	])(
		"is not made for %j, and the refusal says what to write",
		async (range, says) => {
			const { key } = await newAccount();
			const body = { name: "k", ip_ranges: ["10.0.0.0/8", range] };
			const { status, code, field, detail } = await (
				await api(key, "/keys", { body })
			).json<Wire>();
			expect([status, code, field]).toEqual([
				400,
				"invalid_request",
				"ip_ranges[1]",
			]);
			expect(detail).toContain(says);
		},
	);

	it("is not made for no address at all", async () => {
		const { key } = await newAccount();
		const body = { name: "k", ip_ranges: [] };
		expect(await refusal(await api(key, "/keys", { body }))).toEqual([
			400,
			"invalid_request",
			"ip_ranges",
		]);
	});
});

describe("the rotation of a key", () => {
	const rotate = (by: string, id: string, body: object = {}, name?: string) =>
		api(by, `/keys/${id}/rotate`, {
			body,
			...(name !== undefined && { name }),
		});
	const rotated = async (...args: Parameters<typeof rotate>): Promise<Wire> => {
		const response = await rotate(...args);
		expect(response.status).toBe(200);
		return response.json();
	};
	const works = async (key: string) =>
		(await api(key, "/account")).status === 200;

	it("brings a new secret at once, and the old one works until the grace ends", async () => {
		const { key, id, stub } = await newAccount();
		const made = await create(key, {
			name: "k",
			scopes: ["billing:read"],
			ip_ranges: ["0.0.0.0/0"],
		});
		const response = await rotate(key, made.id, { grace: 3_600 });
		expect([response.status, response.headers.get("Cache-Control")]).toEqual([
			200,
			"no-store",
		]);
		const after = await response.json<Wire>();
		expect(after.key).toMatch(new RegExp(`^mg_live_${id}_`));
		expect(after.key).not.toBe(made.key);
		const { key: _, secrets, ...rest } = after;
		const { key: __, secrets: ___, ...before } = made;
		expect(rest).toEqual(before);
		const ends = Date.parse(secrets[0].created_at) + 3_600_000;
		expect(secrets).toMatchObject([
			{ expires_at: null },
			{
				created_at: made.created_at,
				expires_at: new Date(ends).toISOString(),
			},
		]);
		const shown = await api(key, `/keys/${made.id}`);
		const text = await shown.text();
		expect(JSON.parse(text)).toEqual({ ...rest, secrets });
		expect(text).not.toContain("mg_live_");

		const from = (secret: string) =>
			api(secret, "/account", { ip: "192.0.2.1" });
		for (const secret of [made.key, after.key])
			expect((await from(secret)).status).toBe(200);
		await moveClock(stub, 3_601_000);
		expect(await refusal(await from(made.key))).toEqual([401, "key_expired"]);
		expect((await from(after.key)).status).toBe(200);
		const [, left] = await list(key);
		expect(left.secrets).toHaveLength(1);
	});

	it("without grace ends every secret before it, also one whose grace goes on", async () => {
		const { key } = await newAccount();
		const made = await create(key, { name: "k" });
		const second = await rotated(key, made.id, { grace: 604_800 });
		const third = await rotated(key, made.id, { grace: 0 });
		for (const old of [made.key, second.key])
			expect(await refusal(await api(old, "/account"))).toEqual([
				401,
				"key_expired",
			]);
		expect(await works(third.key)).toBe(true);
		expect(third.secrets).toHaveLength(1);
	});

	it("never makes an old secret last longer, and a day long when it names no grace", async () => {
		const { key } = await newAccount();
		const made = await create(key, { name: "k" });
		const second = await rotated(key, made.id, { grace: 60 });
		const third = await rotated(key, made.id);
		const [newest, before, first] = third.secrets;
		expect(newest.expires_at).toBeNull();
		expect(first.expires_at).toBe(second.secrets[1].expires_at);
		expect(Date.parse(before.expires_at) - Date.parse(newest.created_at)).toBe(
			86_400_000,
		);
	});

	it("happens once under one name, and shows no secret twice", async () => {
		const { key, stub } = await newAccount();
		const made = await create(key, { name: "k" });
		const first = await rotated(key, made.id, { grace: 60 }, "first");
		const before = await dump(stub);
		const again = await rotate(key, made.id, { grace: 60 }, "first");
		expect(again.headers.get("Idempotent-Replayed")).toBe("true");
		expect(await again.json()).toMatchObject({
			key: null,
			secrets: first.secrets.map(({ created_at }: Wire) => ({ created_at })),
		});
		expect(await dump(stub)).toEqual(before);
		const other = await rotate(key, made.id, { grace: 61 }, "first");
		expect(await refusal(other)).toEqual([409, "idempotency_conflict"]);
		// A name is the key's own, and who lost the answer rotates under another one.
		const second = await create(key, { name: "second" });
		expect((await rotated(key, second.id, {}, "first")).key).not.toBeNull();
		const lost = await rotated(key, made.id, { grace: 60 }, "second");
		for (const secret of [made.key, first.key, lost.key])
			expect(await works(secret)).toBe(true);
		const wrong = await rotate(key, made.id, {}, "a name with spaces");
		expect(await refusal(wrong)).toEqual([
			400,
			"invalid_request",
			"Idempotency-Key",
		]);
	});

	it("leaves no secret in a log, nor in any other answer", async () => {
		const log = vi.spyOn(console, "log");
		const { key } = await newAccount();
		const made = await create(key, { name: "k" });
		const after = await rotated(key, made.id, { grace: 60 }, "once");
		const later = [
			await api(key, "/keys"),
			await api(key, `/keys/${made.id}`),
			await rotate(key, made.id, { grace: 60 }, "once"),
			await rotate(key, made.id, { grace: 61 }, "once"),
			await api(key, `/keys/${made.id}`, { method: "DELETE" }),
			await api(after.key, "/account"),
		];
		const texts = await Promise.all(later.map((each) => each.text()));
		const lines = log.mock.calls.flat().map(String);
		log.mockRestore();
		expect(lines.length).toBeGreaterThan(later.length);
		for (const secret of [key, made.key, after.key])
			for (const part of [secret, secret.split("_")[3] as string])
				expect([...texts, ...lines].join("\n")).not.toContain(part);
	});

	it("is the key's own affair: it may rotate itself", async () => {
		const { key } = await newAccount();
		const [own] = await list(key);
		const after = await rotated(key, own.id, { grace: 0 });
		expect(after.current).toBe(true);
		expect(await works(key)).toBe(false);
		expect((await list(after.key))[0].scopes).toEqual(SCOPES);
	});

	it("gives nobody the secret of a key that may do more", async () => {
		const { key } = await newAccount();
		const [own] = await list(key);
		const scopes = ["jobs:read", "keys:admin"];
		const less = await create(key, { name: "less", scopes });
		expect(await (await rotate(less.key, own.id)).json()).toMatchObject({
			status: 403,
			code: "scope_missing",
			field: "id",
			scope: "jobs:write",
			scopes,
		});
		const reader = await create(key, { name: "r", scopes: ["jobs:read"] });
		expect((await rotated(less.key, reader.id)).key).not.toBeNull();
	});

	it("is not for keys that ended, nor for a grace beyond seven days", async () => {
		const { key } = await newAccount();
		const made = await create(key, { name: "k" });
		for (const grace of [-1, 604_801, 1.5, "60"])
			expect(await refusal(await rotate(key, made.id, { grace }))).toEqual([
				400,
				"invalid_request",
				"grace",
			]);
		await api(key, `/keys/${made.id}`, { method: "DELETE" });
		expect(await refusal(await rotate(key, made.id))).toEqual([
			409,
			"key_ended",
		]);
		expect(await refusal(await rotate(key, "key_none"))).toEqual([
			404,
			"key_not_found",
		]);
	});

	it("leaves ten secrets at most, and one without grace is always possible", async () => {
		const { key, stub } = await newAccount();
		const made = await create(key, { name: "k" });
		for (let n = 0; n < 9; n++) await rotated(key, made.id);
		expect(await refusal(await rotate(key, made.id))).toEqual([
			409,
			"too_many_secrets",
		]);
		expect(await works(made.key)).toBe(true);
		for (let n = 0; n < 15; n++) await rotated(key, made.id, { grace: 0 });
		const { secret } = await dump(stub);
		// The one that works, ten that ended, and that of the account's first key.
		expect(secret).toHaveLength(12);
	});
});

describe("when a key was last used", () => {
	it("is told to the minute, for each of its secrets", async () => {
		const { key, stub } = await newAccount();
		const made = await create(key, { name: "k" });
		const at = (time: string) =>
			runInDurableObject(stub, (account: Account) => {
				account.clock = () => Date.parse(time);
			});
		const read = async () => {
			const [, { last_used_at, secrets }] = await list(key);
			return [last_used_at, secrets.map((each: Wire) => each.last_used_at)];
		};
		expect(await read()).toEqual([null, [null]]);
		await at("2999-01-01T10:00:59.900Z");
		await api(made.key, "/account");
		const first = "2999-01-01T10:00:00.000Z";
		expect(await read()).toEqual([first, [first]]);
		const { key: second } = await (
			await api(key, `/keys/${made.id}/rotate`, { body: { grace: 3_600 } })
		).json<Wire>();
		await at("2999-01-01T10:05:00.000Z");
		await api(second, "/jobs");
		const later = "2999-01-01T10:05:00.000Z";
		expect(await read()).toEqual([later, [later, first]]);
		// A clock that is set back does not take it back.
		await at("2999-01-01T10:04:00.000Z");
		await api(second, "/jobs");
		expect(await read()).toEqual([later, [later, first]]);
	});

	it("is not moved by calls that are refused", async () => {
		const { key } = await newAccount();
		const scopes = ["jobs:read"];
		const made = await create(key, { name: "k", scopes });
		expect((await api(made.key, "/account")).status).toBe(403);
		const [, { last_used_at }] = await list(key);
		expect(last_used_at).toBeNull();
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
