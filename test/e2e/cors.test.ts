/** A page of another origin, in a real browser: what it can do with a fitting key, and what another key tells it. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openBrowser } from "./browser.ts";
import { Client } from "./client.ts";
import { type Deployment, deploy } from "./deployment.ts";

let stack: Deployment;
let browser: Browser;
let site: Server;
let origin: string;
let page: Page;

beforeAll(async () => {
	stack = await deploy();
	browser = await openBrowser();
	site = createServer((_, response) => {
		response.setHeader("Content-Type", "text/html");
		response.end("<!doctype html><title>Somebody's site</title>");
	});
	await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
	origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
	page = await browser.newPage();
	await page.goto(origin);
});
afterAll(async () => {
	await browser?.close();
	site?.closeAllConnections();
	await new Promise((resolve) => (site ? site.close(resolve) : resolve(null)));
	await stack?.stop();
});

/** A key whose pages are these, made by its owner's server. */
async function keyFor(origins: string[]): Promise<{ id: string; key: string }> {
	const client = new Client(stack.url, stack.key);
	const made = await client.post("/keys", { name: "page", origins });
	expect(made.status).toBe(201);
	return (await made.json()) as { id: string; key: string };
}

/** What the page's own script gets to see of a call; null where the browser keeps it from it. */
const fromPage = (
	key: string,
	path: string,
	init: {
		method?: string;
		headers?: Record<string, string>;
		body?: string;
	} = {},
) =>
	page.evaluate(
		async ({ url, key, init }) => {
			try {
				const response = await fetch(url, {
					...init,
					headers: { ...init.headers, Authorization: `Bearer ${key}` },
				});
				return {
					status: response.status,
					requestId: response.headers.get("X-Request-Id"),
					rateLimit: response.headers.get("RateLimit"),
					text: await response.text(),
				};
			} catch {
				return null;
			}
		},
		{ url: `${stack.url}/v1${path}`, key, init },
	);

const question = {
	method: "POST",
	headers: {
		"Content-Type": "application/json",
		Accept: "text/event-stream",
		"Idempotency-Key": "from-a-page",
		"X-Stainless-Lang": "js",
	},
	body: JSON.stringify({
		model: "nano",
		images: [
			{
				url: "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mM4ISeHFTEMLQkAkL9BAc9woTwAAAAASUVORK5CYII=",
			},
		],
		prompt: "What is this?",
		max_tokens: 8,
		temperature: 0,
	}),
};

describe("a page of another origin", () => {
	it("asks and reads the answer as it streams, with a key that lists it", async () => {
		const { key } = await keyFor([origin]);
		const seen = await fromPage(key, "/jobs", question);
		expect(seen).toMatchObject({
			status: 200,
			requestId: expect.stringMatching(/^req_/),
			rateLimit: expect.stringContaining('"requests"'),
		});
		expect(seen?.text).toContain("event: token");
		expect(seen?.text).toContain("event: done");
	});

	it("is refused with a key of other pages, and reads why", async () => {
		const { key } = await keyFor(["https://app.example.com"]);
		const jobs = async () =>
			(await new Client(stack.url, stack.key).get("/jobs")).data.length;
		const before = await jobs();
		const seen = await fromPage(key, "/jobs", question);
		expect(seen?.status).toBe(403);
		expect(JSON.parse(seen?.text ?? "")).toMatchObject({
			code: "origin_not_allowed",
			origin,
			detail: expect.stringContaining(origin),
		});
		expect(await jobs()).toBe(before);
	});

	it("reads that its key was revoked, and may use every method of the API", async () => {
		const { id, key } = await keyFor([origin]);
		const owner = new Client(stack.url, stack.key);
		for (const method of ["PUT", "PATCH", "DELETE"]) {
			const seen = await fromPage(key, "/jobs/none", { method });
			expect(seen?.status, method).toBeGreaterThanOrEqual(400);
		}
		await owner.call(`/keys/${id}`, { method: "DELETE" });
		const seen = await fromPage(key, "/account");
		expect(seen?.status).toBe(401);
		expect(JSON.parse(seen?.text ?? "").code).toBe("revoked_key");
	});

	it("cannot reach the admin routes", async () => {
		const reached = await page.evaluate(
			async (url) =>
				fetch(url, { headers: { Authorization: "Bearer x" } }).then(
					() => true,
					() => false,
				),
			`${stack.url}/admin/accounts`,
		);
		expect(reached).toBe(false);
	});
});
