/** What a browser lets a page of another origin send to the API, and read of its answers. */
import { beforeEach, describe, expect, it } from "vitest";
import { unwrap } from "../../src/errors.ts";
import { newAccount, type TestAccount } from "../support/account.ts";
import { JOB_REQUEST, type Wire } from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { fakeWorker } from "../support/jobs.ts";

const PAGE = "https://elsewhere.example";
/** What a page may read of any answer, listed or not (Fetch standard). */
const SAFELISTED = [
	"cache-control",
	"content-language",
	"content-length",
	"content-type",
	"expires",
	"last-modified",
	"pragma",
];
/** What a page has no use for. */
const PLUMBING = new RegExp(
	"^(access-control-.*|vary|timing-allow-origin|x-accel-buffering|" +
		"transfer-encoding|date|x-content-type-options)$",
);

const at = (path: string, init: RequestInit = {}) =>
	edge.fetch(`http://api.test${path}`, {
		...init,
		headers: { Origin: PAGE, ...(init.headers as Record<string, string>) },
	});
const keyed = (key: string) => ({ Authorization: `Bearer ${key}` });

function readable(response: Response) {
	const { headers } = response;
	expect(headers.get("Access-Control-Allow-Origin")).toBe("*");
	expect(headers.get("Access-Control-Allow-Credentials")).toBeNull();
	const exposed = (headers.get("Access-Control-Expose-Headers") ?? "")
		.toLowerCase()
		.split(/\s*,\s*/);
	const hidden = [...headers.keys()].filter(
		(name) =>
			!SAFELISTED.includes(name) &&
			!PLUMBING.test(name) &&
			!exposed.includes(name),
	);
	expect(hidden).toEqual([]);
}

describe("a preflight", () => {
	it.each(["GET", "POST", "PUT", "PATCH", "DELETE"])(
		"lets %s pass, with whatever headers the client sends",
		async (method) => {
			const headers = [
				"authorization",
				"content-type",
				"idempotency-key",
				"last-event-id",
				"x-stainless-lang",
				"x-stainless-retry-count",
				"a-header-of-some-client",
			];
			const preflight = await at("/v1/jobs/01JD8Z6Q3V9Y4K2M7N5P8R1S3T", {
				method: "OPTIONS",
				headers: {
					"Access-Control-Request-Method": method,
					"Access-Control-Request-Headers": headers.join(","),
				},
			});
			expect(preflight.status).toBe(204);
			const list = (name: string) =>
				(preflight.headers.get(name) ?? "").split(/\s*,\s*/);
			expect(list("Access-Control-Allow-Origin")).toEqual(["*"]);
			expect(list("Access-Control-Allow-Methods")).toContain(method);
			expect(list("Access-Control-Allow-Headers")).toEqual(headers);
			expect(list("Vary")).toContain("Access-Control-Request-Headers");
			expect(list("Access-Control-Max-Age")).toEqual(["86400"]);
		},
	);

	it("is no promise: the admin routes have none", async () => {
		for (const path of ["/admin/accounts", "/metrics", "/internal/replicate"]) {
			const response = await at(path, {
				method: "OPTIONS",
				headers: { "Access-Control-Request-Method": "POST" },
			});
			expect(response.headers.get("Access-Control-Allow-Origin")).toBeNull();
			await response.body?.cancel();
		}
	});
});

describe("a page of another origin can read", () => {
	let account: TestAccount;
	beforeEach(async () => {
		account = await newAccount(50_000);
		fakeWorker({ tokens: ["A", " square"] });
	});

	const create = (headers: Record<string, string> = {}) =>
		at("/v1/jobs", {
			method: "POST",
			headers: {
				...keyed(account.key),
				"Content-Type": "application/json",
				...headers,
			},
			body: JSON.stringify(JOB_REQUEST),
		});

	it("a job, and every header of its answers", async () => {
		const created = await create({ Prefer: "wait=20", "Idempotency-Key": "k" });
		readable(created);
		const { id } = await created.json<Wire>();
		const again = await create({ "Idempotency-Key": "k" });
		expect(again.headers.get("Idempotent-Replayed")).toBe("true");
		readable(again);
		for (const path of [
			"/v1/jobs",
			`/v1/jobs/${id}`,
			"/v1/models",
			"/v1/keys",
			"/v1/events",
			"/v1/webhooks",
		]) {
			const response = await at(path, { headers: keyed(account.key) });
			expect(response.status).toBe(200);
			readable(response);
			await response.body?.cancel();
		}
	});

	it("the events of a job, from its creation and later", async () => {
		const created = await create({ Accept: "text/event-stream" });
		readable(created);
		expect(await created.text()).toContain("event: done");
		const id = /jobs\/([0-9A-Z]{26})/.exec(
			created.headers.get("Location") ?? "",
		)?.[1];
		const events = await at(`/v1/jobs/${id}/events`, {
			headers: keyed(account.key),
		});
		expect(events.headers.get("Content-Type")).toContain("text/event-stream");
		readable(events);
		await events.text();
	});

	it("why it was refused", async () => {
		const { keyId } = unwrap(
			await account.stub.authenticate(account.credential),
		);
		const made = await at("/v1/keys", {
			method: "POST",
			headers: { ...keyed(account.key), "Content-Type": "application/json" },
			body: JSON.stringify({ name: "p", origins: ["https://home.example"] }),
		});
		const page = await made.json<Wire>();
		const refusals: [number, string, Response][] = [
			[401, "missing_key", await at("/v1/account")],
			[401, "invalid_key", await at("/v1/account", { headers: keyed("no") })],
			[
				403,
				"origin_not_allowed",
				await at("/v1/account", { headers: keyed(page.key) }),
			],
			[404, "not_found", await at("/v1/nowhere")],
			[405, "method_not_allowed", await at("/v1/jobs", { method: "DELETE" })],
			[
				404,
				"job_not_found",
				await at("/v1/jobs/01JD8Z6Q3V9Y4K2M7N5P8R1S3T", {
					headers: keyed(account.key),
				}),
			],
			[
				400,
				"invalid_request",
				await at("/v1/jobs?limit=0", { headers: keyed(account.key) }),
			],
		];
		unwrap(await account.stub.revokeKey(keyId));
		refusals.push([
			401,
			"revoked_key",
			await at("/v1/account", { headers: keyed(account.key) }),
		]);
		for (const [status, code, response] of refusals) {
			readable(response);
			expect(await response.json()).toMatchObject({ status, code });
			expect(response.status).toBe(status);
		}
	});
});
