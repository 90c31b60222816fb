/**
 * A page of another origin, in a real browser: what it can do with a fitting key, and what another
 * key tells it.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type Server as Site } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { corsRule } from "../../scripts/bucket.mjs";
import { developmentAccount } from "../../scripts/development.mjs";
import { root } from "../../scripts/paths.mjs";
import { freePort } from "../../scripts/ports.mjs";
import { secretsOf } from "../../scripts/secrets.mjs";
import { type Server, startEdge, startS3 } from "../../scripts/stack.mjs";
import { openBrowser } from "./browser.ts";
import { Client } from "./client.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { samplesOf } from "./fenced.ts";

let stack: Deployment;
let browser: Browser;
let site: Site;
let origin: string;
let page: Page;

async function somebody(): Promise<Site> {
	const made = createServer((_, response) => {
		response.setHeader("Content-Type", "text/html");
		response.end("<!doctype html><title>Somebody's site</title>");
	});
	await new Promise<void>((resolve) => made.listen(0, "127.0.0.1", resolve));
	return made;
}
const originOf = (of: Site): string =>
	`http://127.0.0.1:${(of.address() as AddressInfo).port}`;
async function close(of: Site | undefined): Promise<void> {
	of?.closeAllConnections();
	await new Promise((resolve) => (of ? of.close(resolve) : resolve(null)));
}

beforeAll(async () => {
	stack = await deploy();
	browser = await openBrowser();
	site = await somebody();
	origin = originOf(site);
	page = await browser.newPage();
	await page.goto(origin);
});
afterAll(async () => {
	await browser?.close();
	await close(site);
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

describe("a page's photo over 4 MB, by the SDK", () => {
	/** Its bucket is its own: the shared one's rule lists every page of this machine. */
	let s3: Server;
	let edge: Server;
	let elsewhere: Site;
	let key: string;
	let script: string;
	const stops: (() => Promise<unknown>)[] = [];

	beforeAll(async () => {
		const state = await mkdtemp(join(tmpdir(), "minigpt4-cors-"));
		stops.push(() => rm(state, { recursive: true, force: true }));
		const secrets = secretsOf(state);
		s3 = await startS3({
			port: await freePort(),
			state,
			secrets,
			origins: [origin],
		});
		stops.push(s3.stop);
		edge = await startEdge({
			port: await freePort(),
			state,
			secrets,
			s3: s3.url,
			worker: stack.worker,
			bundle: stack.bundle,
		});
		stops.push(edge.stop);
		elsewhere = await somebody();
		stops.push(() => close(elsewhere));
		const { adminSecret } = secrets;
		const owner = await developmentAccount({
			edge: edge.url,
			state,
			adminSecret,
		});
		const made = await new Client(edge.url, owner.key).post("/keys", {
			name: "pages",
			origins: [origin, originOf(elsewhere)],
		});
		key = ((await made.json()) as { key: string }).key;
		const { outputFiles } = await build({
			stdin: {
				contents: 'export * from "./sdk/src/index.ts"',
				resolveDir: root,
			},
			bundle: true,
			platform: "browser",
			write: false,
			format: "iife",
			globalName: "sdk",
		});
		script = outputFiles[0]?.text ?? "";
		const photo = await readFile(join(root, "samples/cat.jpg"));
		const comment = Buffer.alloc(65_537, 0x20);
		comment.writeUInt32BE(0xfffeffff, 0);
		large = Buffer.concat([
			photo.subarray(0, 2),
			...Array.from({ length: 80 }, () => comment),
			photo.subarray(2),
		]).toString("base64");
	});
	afterAll(async () => {
		for (const stop of stops.reverse()) await stop();
	});
	let large: string;

	/** What the page's script gets of `uploads.create`; `meanwhile` may intercept its network. */
	async function uploadFrom(
		from: string,
		options: object = {},
		meanwhile: (page: Page) => Promise<unknown> = async () => {},
	) {
		const page = await browser.newPage();
		try {
			await page.goto(from);
			await page.addScriptTag({ content: script });
			await meanwhile(page);
			return await page.evaluate(
				async ({ baseURL, apiKey, photo, options }) => {
					// biome-ignore lint/suspicious/noExplicitAny: the bundle's global
					const { MiniGPT4 } = (globalThis as any).sdk;
					const client = new MiniGPT4({ baseURL, apiKey });
					const bytes = Uint8Array.from(atob(photo), (c) => c.charCodeAt(0));
					const began = performance.now();
					const answer = await client.uploads
						.create(bytes, options)
						.catch(({ name, code, message }: Record<string, string>) => ({
							name,
							code,
							message,
						}));
					return { ...answer, ms: performance.now() - began };
				},
				{ baseURL: edge.url, apiKey: key, photo: large, options },
			);
		} finally {
			await page.close();
		}
	}

	it("goes to the bucket whose rule lists the page", async () => {
		expect(await uploadFrom(origin)).toMatchObject({
			object: "upload",
			status: "ready",
			width: 512,
		});
	});

	it("is kept from one whose rule does not; the error says at once what to do", async () => {
		const page = originOf(elsewhere);
		const blocked = { name: "CorsError", code: "cors_blocked" };
		for (const options of [{}, { retryFor: 0 }]) {
			const { message, ms, ...seen } = await uploadFrom(page, options);
			expect(seen).toEqual(blocked);
			for (const said of [
				page,
				new URL(s3.url).origin,
				"CORS",
				"docs/bucket.md",
				"4 MB",
			])
				expect(message).toContain(said);
			expect(ms).toBeLessThan(20_000);
		}
	});

	it("is sent again where only the connection broke; no rule is blamed for that", async () => {
		let broken = 0;
		const flaky = (page: Page) =>
			page.route(`${s3.url}/**`, (route) =>
				route.request().method() === "PUT" && broken++ === 0
					? route.abort("connectionreset")
					: route.continue(),
			);
		expect(await uploadFrom(origin, {}, flaky)).toMatchObject({
			status: "ready",
		});
		expect(broken).toBeGreaterThan(1);
		const away = (page: Page) =>
			page.route(`${s3.url}/**`, (route) => route.abort("connectionrefused"));
		for (const from of [origin, originOf(elsewhere)])
			expect(await uploadFrom(from, { retryFor: 0 }, away)).toMatchObject({
				name: "ConnectionError",
				code: "connection_failed",
			});
	});

	it("needs the rule that is told to operators: it is the one that this bucket has", async () => {
		const text = await readFile(join(root, "docs/bucket.md"), "utf8");
		const [rule] = samplesOf(text).filter(
			({ language }) => language === "json",
		);
		expect(JSON.parse(rule?.code ?? "")).toEqual({
			CORSRules: [corsRule(["https://app.example.com"])],
		});
	});
});
