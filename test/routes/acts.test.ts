import { runInDurableObject } from "cloudflare:test";
import { expect, it, vi } from "vitest";
import { app } from "../../src/app.ts";
import type { Directory } from "../../src/directory/directory.ts";
import { bindings, newAccount } from "../support/account.ts";
import { refusal, type Wire } from "../support/calls.ts";
import { edge } from "../support/edge.ts";

const SECRET = "test-admin-secret-test-admin-secret";
const READ = "test-read-secret-test-read-secret-00";

const admin = (path: string, body?: unknown, secret = SECRET) =>
	edge.fetch(`http://edge.test/admin${path}`, {
		method: body === undefined ? "GET" : "POST",
		headers: {
			Authorization: `Bearer ${secret}`,
			"Content-Type": "application/json",
			"CF-Connecting-IP": "203.0.113.7",
		},
		body: body === undefined ? null : JSON.stringify(body),
	});
const acts = async (query = "?limit=5"): Promise<Wire[]> =>
	(await (await admin(`/acts${query}`)).json<Wire>()).data;

it("notes each write of an operator's, with what was asked for and how it ended", async () => {
	const { id } = await newAccount();
	const path = `/accounts/${id}/credits`;
	const credit = { id: "invoice 1", amount: 5 };
	const done = await admin(path, credit);
	await admin(path, { ...credit, amount: 6 });
	await admin(path, { amount: -1 });
	await admin(`/accounts/${id}/suspend`, {});
	expect(await acts("?limit=4")).toMatchObject([
		{ path: `/admin/accounts/${id}/suspend`, status: 200 },
		{ path: `/admin${path}`, status: 400 },
		{ path: `/admin${path}`, status: 409, body: { amount: 6 } },
		{
			method: "POST",
			path: `/admin${path}`,
			status: 200,
			body: credit,
			ip: "203.0.113.7",
			request_id: done.headers.get("X-Request-Id"),
		},
	]);
});

it("notes no read, and no call without the secret", async () => {
	const before = await acts();
	await admin("/accounts");
	await admin("/accounts", { name: "x" }, "wrong".repeat(8));
	expect(await acts()).toEqual(before);
});

it("notes an act before it is done: one that breaks off is there, with its end open", async () => {
	const { id } = await newAccount();
	const directory = bindings.DIRECTORY.getByName("accounts");
	const noted = await runInDurableObject(directory, async (object: Directory) =>
		object.beginAct({
			method: "POST",
			path: `/admin/accounts/${id}/suspend`,
			ip: null,
			requestId: "req_1",
		}),
	);
	expect(noted).toMatchObject({ ok: true });
	expect((await acts())[0]).toMatchObject({
		request_id: "req_1",
		status: null,
	});
});

it("limits writes, all operators' together, and reads go on", async () => {
	const directory = bindings.DIRECTORY.getByName("accounts");
	const start = Date.now() + 3_600_000;
	await runInDurableObject(directory, (object: Directory) => {
		object.clock = () => start;
	});
	const act = { method: "POST", path: "/", ip: null, requestId: "req_2" };
	for (let n = 0; n < 300; n++)
		expect((await directory.beginAct(act)).ok).toBe(true);
	const refused = await admin("/accounts", { name: "x" });
	expect(refused.headers.get("Retry-After")).toBe("1");
	expect(await refusal(refused)).toEqual([429, "rate_limited"]);
	expect((await admin("/accounts")).status).toBe(200);
	await runInDurableObject(directory, (object: Directory) => {
		object.clock = () => start + 1_000;
	});
	expect((await admin("/accounts", { name: "x" })).status).toBe(201);
	vi.restoreAllMocks();
});

it("the secret for reading opens the metrics and the pools, and nothing else", async () => {
	const env = { ...bindings, ADMIN_READ_SECRET: READ };
	const status = async (path: string, method = "GET", secret = READ) => {
		const init = { method, headers: { Authorization: `Bearer ${secret}` } };
		return (await app.request(path, init, env)).status;
	};
	expect(await status("/metrics")).toBe(200);
	expect(await status("/admin/pools")).toBe(200);
	expect(await status("/admin/pools/nano")).toBe(200);
	expect(await status("/metrics", "GET", SECRET)).toBe(200);
	expect(await status("/metrics", "GET", `${READ}x`)).toBe(401);
	for (const path of ["/admin/accounts", "/admin/acts"])
		expect(await status(path)).toBe(401);
	expect(await status("/admin/accounts", "POST")).toBe(401);
});
