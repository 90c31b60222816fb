/** The playground in a real browser, over the whole stack. */
import { execFile } from "node:child_process";
import { createHash, randomFillSync } from "node:crypto";
import { readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { crc32, deflateSync } from "node:zlib";
import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { root } from "../../scripts/paths.mjs";
import { usd } from "../../src/playground/public/usd.js";
import { FakeWorker } from "../support/fake-worker.ts";
import { serve } from "../support/fake-worker-server.ts";
import { sumOf } from "../support/prices.ts";
import { type BreakingProxy, proxyTo } from "./breaking-proxy.ts";
import { openBrowser } from "./browser.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { type Installed, installSDK } from "./packed-sdk.ts";
import { type Wire, wireTo } from "./wire.ts";

const CAT = "samples/cat.jpg";
const PHONE = { width: 360, height: 740 };

let stack: Deployment;
let proxy: BreakingProxy;
let browser: Browser;

beforeAll(async () => {
	stack = await deploy({}, async (worker) => {
		proxy = await proxyTo(worker);
		return proxy.url;
	});
	browser = await openBrowser();
});
afterAll(async () => {
	await browser?.close();
	await stack?.stop();
	await proxy?.stop();
});
afterEach(async () => {
	proxy.stall = null;
	for (const context of browser.contexts()) await context.close();
});

/**
 * A page in a context of its own, and what its console complains of, policy violations included.
 */
async function visit({
	url = stack.url,
	key = stack.key as string | null,
	viewport = { width: 1280, height: 860 },
	colorScheme = "light" as "light" | "dark",
} = {}): Promise<{ page: Page; troubles: string[] }> {
	const context = await browser.newContext({ viewport, colorScheme });
	await context.grantPermissions(["clipboard-read", "clipboard-write"]);
	const page = await context.newPage();
	const troubles: string[] = [];
	page.on("console", (message) => {
		if (["error", "warning"].includes(message.type()))
			troubles.push(message.text());
	});
	page.on("pageerror", (error) => troubles.push(String(error)));
	await page.goto(key ? `${url}/#key=${key}` : url);
	await page.waitForLoadState("networkidle");
	return { page, troubles };
}

const text = async (page: Page, selector: string) =>
	(await page.locator(selector).textContent()) ?? "";

/** A selector inside of a turn: of the last, or of the n-th from 1. */
const inTurn = (selector: string, n?: number) =>
	`.turn:${n ? `nth-child(${n})` : "last-child"} ${selector}`;

/** Settings that make an answer short and the same each time; or hot, which makes it long. */
async function settings(page: Page, tokens: number, temperature = 0) {
	await page.locator(".settings summary").click();
	await page.getByLabel("Longest answer").fill(String(tokens));
	await page.getByLabel("Temperature").fill(String(temperature));
}

const sent = (page: Page) => page.waitForSelector("#photo-line[data-sent]");
const state = (page: Page, wanted: string, n?: number) =>
	page.waitForSelector(`${inTurn("", n).trim()}[data-state="${wanted}"]`);

/** A page with the cat's photo sent, and short answers that are the same each time. */
async function withCat(options: Parameters<typeof visit>[0] = {}) {
	const visited = await visit(options);
	await visited.page.getByRole("button", { name: "a cat" }).click();
	await sent(visited.page);
	return visited;
}

/** Asks, and waits for the end of the n-th turn. */
async function ask(page: Page, question: string, n: number, end = "done") {
	await page.locator("#prompt").fill(question);
	await page.keyboard.press("Enter");
	await state(page, end, n);
}

const task = (page: Page, name: string) =>
	page.getByRole("button", { name, exact: true }).click();

/** Every text that the element shows from now on. */
async function record(page: Page, selector: string) {
	const seen = await page.evaluateHandle((selector) => {
		const target = document.querySelector(selector) as HTMLElement;
		const seen: string[] = [];
		new MutationObserver(() => seen.push(target.textContent ?? "")).observe(
			target,
			{ characterData: true, childList: true, subtree: true },
		);
		return seen;
	}, selector);
	return () => seen.jsonValue();
}

/**
 * Every text that the last turn's part shows from now on: the list is there before its turns are.
 */
async function recordTurns(page: Page, selector: string) {
	const seen = await page.evaluateHandle((selector) => {
		const list = document.getElementById("turns") as HTMLElement;
		const seen: string[] = [];
		new MutationObserver(() =>
			seen.push(list.querySelector(selector)?.textContent ?? ""),
		).observe(list, { characterData: true, childList: true, subtree: true });
		return seen;
	}, selector);
	return () => seen.jsonValue();
}

const api = (path: string, init: RequestInit = {}) =>
	fetch(`${stack.url}/v1${path}`, {
		...init,
		headers: { Authorization: `Bearer ${stack.key}` },
	});

const jobId = (page: Page, n?: number) =>
	text(page, inTurn(".facts dd.ids", n));

/** The job as the API tells it. */
async function jobShown(page: Page, n?: number) {
	const response = await api(`/jobs/${await jobId(page, n)}`);
	expect(response.status).toBe(200);
	return response.json();
}

/** What the turn's tab of that name shows. */
async function code(page: Page, name: "curl" | "SDK" | "OpenAI", n?: number) {
	const details = page.locator(inTurn(".details", n));
	if (!(await details.evaluate((e) => (e as HTMLDetailsElement).open)))
		await details.locator("summary").click();
	await details.getByRole("tab", { name }).click();
	return text(page, inTurn(".panel:not([hidden]) pre", n));
}

const sideways = (page: Page) =>
	page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

describe("a photo and a question", () => {
	it("are answered token by token, and the answer is whole: complete and verified", async () => {
		const { page, troubles } = await visit();
		const chooser = page.waitForEvent("filechooser");
		await page.getByText("Choose a photo", { exact: true }).click();
		await (await chooser).setFiles(CAT);
		await sent(page);
		expect(await text(page, "#photo-words")).toMatch(
			/^cat\.jpg · \d+ KB · 512 × 512$/,
		);
		await settings(page, 64, 2);
		const texts = await recordTurns(page, ".text");
		const words = await recordTurns(page, ".status");
		const said = await record(page, "#said");
		await page.getByRole("button", { name: "Ask" }).click();
		await state(page, "done");

		const job = await jobShown(page);
		const shown = await text(page, inTurn(".text"));
		expect(shown).toBe(job.output.text);
		expect(createHash("sha256").update(shown).digest("hex")).toBe(job.sha256);
		expect(await text(page, inTurn(".status"))).toMatch(
			/^Complete and verified/,
		);
		expect(new Set((await texts()).filter(Boolean)).size).toBeGreaterThan(2);
		expect((await words()).join("\n")).toMatch(/Writing · first token after/);
		expect(await text(page, inTurn(".facts"))).toMatch(
			new RegExp(`Tokens${job.usage.output_tokens}First`),
		);
		// Read aloud once, as a whole.
		expect(await said()).toEqual(["The question is sent", `Answer: ${shown}`]);
		expect(troubles).toEqual([]);
	});

	it("may come by drop, by paste or from the samples", async () => {
		const { page, troubles } = await visit();
		const photo = [...(await readFile(CAT))];
		for (const way of ["drop", "paste"]) {
			await page.evaluate(
				([way, photo]) => {
					const data = new DataTransfer();
					data.items.add(
						new File([new Uint8Array(photo)], `${way}.jpg`, {
							type: "image/jpeg",
						}),
					);
					document.body.dispatchEvent(
						way === "drop"
							? new DragEvent("drop", {
									dataTransfer: data,
									bubbles: true,
									cancelable: true,
								})
							: new ClipboardEvent("paste", {
									clipboardData: data,
									bubbles: true,
									cancelable: true,
								}),
					);
				},
				[way, photo] as const,
			);
			await page.waitForFunction(
				(way) =>
					document
						.getElementById("photo-words")
						?.textContent?.match(`^${way}\\.jpg · .*512 × 512$`),
				way,
			);
		}
		await page.getByRole("button", { name: "a rocket" }).click();
		await page.waitForFunction(() =>
			document
				.getElementById("photo-words")
				?.textContent?.match(/^rocket\.jpg · .*512 × 512$/),
		);
		expect(await page.locator("#shown").isVisible()).toBe(true);
		expect(troubles).toEqual([]);
	});

	it("go straight to the image store when the photo is over 4 MB", async () => {
		const { page, troubles } = await visit();
		const puts: string[] = [];
		page.on("request", (request) => {
			if (request.method() === "PUT") puts.push(new URL(request.url()).origin);
		});
		await page.locator("#file").setInputFiles({
			name: "noise.png",
			mimeType: "image/png",
			buffer: noise(1400, 1100),
		});
		await sent(page);
		expect(await text(page, "#photo-words")).toMatch(
			/^noise\.png · 4\.\d MB · 1400 × 1100$/,
		);
		expect(puts).toEqual([new URL(stack.s3).origin]);
		expect(troubles).toEqual([]);
	});

	it("need no mouse, and show where the keyboard is", async () => {
		const { page, troubles } = await visit();
		/** Tabs on until the element has the focus. */
		const tabTo = async (selector: string) => {
			for (let presses = 0; presses < 40; presses++) {
				await page.keyboard.press("Tab");
				if (await page.locator(selector).evaluate((e) => e.matches(":focus")))
					return;
			}
			throw new Error(`no way to ${selector} by Tab`);
		};
		const outlined = (selector: string) =>
			page
				.locator(selector)
				.evaluate((e) => getComputedStyle(e).outlineStyle !== "none");
		// Asked for first: Chromium hands choosers over only from some moment after that.
		const chooser = page.waitForEvent("filechooser");
		await tabTo("#file");
		expect(await outlined("#drop")).toBe(true);
		await page.keyboard.press("Enter");
		await (await chooser).setFiles(CAT);
		await sent(page);
		await tabTo('[data-task="describe"]');
		expect(await outlined('[data-task="describe"]')).toBe(true);
		await tabTo("#prompt");
		await page.keyboard.press("ControlOrMeta+A");
		await page.keyboard.type("What animal");
		await page.keyboard.press("Shift+Enter");
		await page.keyboard.type("is this?");
		await tabTo("#go");
		expect(await outlined("#go")).toBe(true);
		await tabTo(".settings summary");
		await page.keyboard.press("Enter");
		await tabTo('[name="max_tokens"]');
		await page.keyboard.type("8");
		await page.keyboard.press("Enter");
		await state(page, "done");
		expect(await text(page, inTurn(".asked"))).toContain(
			"What animal\nis this?",
		);
		await tabTo(inTurn(".actions :first-child"));
		await page.keyboard.press("Enter");
		await page.waitForFunction(
			() => document.getElementById("said")?.textContent === "Copied",
		);
		expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(
			await text(page, inTurn(".text")),
		);
		await tabTo(inTurn(".details summary"));
		await page.keyboard.press("Enter");
		await tabTo(inTurn('[aria-selected="true"]'));
		await page.keyboard.press("ArrowRight");
		expect(await page.evaluate(() => document.activeElement?.textContent)).toBe(
			"SDK",
		);
		expect(troubles).toEqual([]);
	});

	it("fit a phone: nothing scrolls sideways at 360 px, the answer comes into view", async () => {
		const { page, troubles } = await visit({ viewport: PHONE });
		expect(await sideways(page)).toBe(0);
		await page.getByRole("button", { name: "a cup of coffee" }).click();
		await sent(page);
		await settings(page, 24);
		expect(await sideways(page)).toBe(0);
		await page.getByRole("button", { name: "Ask" }).click();
		await state(page, "done");
		expect(await sideways(page)).toBe(0);
		const top = await page
			.locator(inTurn(".text"))
			.evaluate((e) => e.getBoundingClientRect().top);
		expect(top).toBeGreaterThanOrEqual(0);
		expect(top).toBeLessThan(PHONE.height);
		// The photo stays above, the form below.
		const edge = (selector: string, side: "top" | "bottom") =>
			page
				.locator(selector)
				.evaluate((e, side) => e.getBoundingClientRect()[side], side);
		await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
		expect(await edge("#shown", "top")).toBeGreaterThanOrEqual(0);
		expect(await edge("#shown", "bottom")).toBeLessThan(top);
		expect(await edge("#ask", "bottom")).toBeCloseTo(PHONE.height, 0);
		await code(page, "OpenAI");
		expect(await sideways(page)).toBe(0);
		expect(troubles).toEqual([]);
	});
});

describe("the model", () => {
	it("is no question where one is served", async () => {
		const { page, troubles } = await visit();
		expect(await page.locator("#model-choice").isVisible()).toBe(false);
		expect(await page.locator("#about-nano").isVisible()).toBe(true);
		expect(await text(page, "#about-license")).toMatch(/research .* only/);
		await page.getByRole("button", { name: "a cat" }).click();
		await settings(page, 4);
		await ask(page, "What is this?", 1);
		expect(await code(page, "curl")).not.toContain("model");
		expect(await code(page, "OpenAI")).toContain('model: "nano"');
		expect(troubles).toEqual([]);
	});

	it("is chosen from those that are served, each with its price, and is named", async () => {
		const fake = new FakeWorker({
			tokens: ["A", " cat", " on", " a", " sofa."],
		});
		const two = await deploy({}, undefined, async ({ secrets, s3 }) => {
			fake.model = "vicuna-7b";
			fake.key = secrets.workerKey;
			fake.allowed = [new URL(s3).hostname];
			return { "vicuna-7b": await serve(fake) };
		});
		try {
			const { page, troubles } = await visit({ ...two, viewport: PHONE });
			const model = page.getByLabel("Model");
			expect(await model.locator("option").allTextContents()).toEqual([
				"nano · 0.0001 USD a photo, and its tokens",
				"vicuna-7b · 0.0005 USD a photo, and its tokens",
			]);
			expect(await sideways(page)).toBe(0);
			await page.getByRole("button", { name: "a cat" }).click();
			await settings(page, 16);
			await ask(page, "What is this?", 1);
			expect(await text(page, inTurn(".price"))).toMatch(/^0\.0001\d+ USD$/);
			expect(await text(page, inTurn(".facts"))).toMatch(
				/Prompt tokens\d+ · .*Photos1 · 0\.0001 USD/s,
			);
			expect(await code(page, "curl")).toContain('"model":"nano"');
			await model.focus();
			await page.keyboard.press("ArrowDown");
			expect(await page.locator("#about-nano").isVisible()).toBe(false);
			expect(await text(page, "#about-other")).toMatch(
				/^vicuna-7b has 7\.8 billion parameters and reads 2,048 tokens/,
			);
			expect(await text(page, "#about-license")).toContain("Vicuna v0");
			await ask(page, "And what do you see?", 2);
			expect(await text(page, inTurn(".text"))).toBe("A cat on a sofa.");
			expect(await text(page, inTurn(".price"))).toMatch(/^0\.0005\d+ USD$/);
			expect(await text(page, inTurn(".facts"))).toMatch(/Modelvicuna-7b/);
			expect(await code(page, "curl")).toContain('"model":"vicuna-7b"');
			expect(fake.requests.map(({ model }) => model)).toEqual(["vicuna-7b"]);
			expect(troubles).toEqual([]);
		} finally {
			await two.stop();
		}
	});
});

describe("a conversation", () => {
	it("goes on about the same photo, each answer from all before it, with its price", async () => {
		const { page, troubles } = await withCat();
		await settings(page, 24);
		await ask(page, "What is in this picture?", 1);
		await ask(page, "What colour is it?", 2);
		await task(page, "Poem");
		await state(page, "done", 3);

		const jobs = await Promise.all([1, 2, 3].map((n) => jobShown(page, n)));
		for (const [n, job] of jobs.entries()) {
			expect(await text(page, inTurn(".text", n + 1))).toBe(job.output.text);
			expect(await text(page, inTurn(".price", n + 1))).toBe(usd(job.price));
			expect(job.images).toEqual(jobs[0].images);
		}
		const tokens = jobs.map(({ usage }) => usage.prompt_tokens);
		expect(tokens[1]).toBeGreaterThan(tokens[0]);
		expect(tokens[2]).toBeGreaterThan(tokens[1]);
		expect(await text(page, inTurn(".asked"))).toMatch(/short poem/);
		await expect
			.poll(() => text(page, "#credit"))
			.toBe(`${await balance()} USD left`);
		// Only the last turn can be asked again.
		expect(
			await page.getByText("Ask again").filter({ visible: true }).count(),
		).toBe(1);
		expect(troubles).toEqual([]);
	});

	it("is stopped by the button or Escape, at the price of what it wrote, and goes on", async () => {
		const { page, troubles } = await withCat();
		await settings(page, 64, 2);
		proxy.stall = 3;
		for (const [n, stop] of [
			() => page.getByRole("button", { name: "Stop" }).click(),
			() => page.keyboard.press("Escape"),
		].entries()) {
			await task(page, "Story");
			await state(page, "writing", n + 1);
			// What has the focus keeps it, and a second question waits.
			await page.locator('[data-task="poem"]').press("Enter");
			expect(await text(page, "#form-problem")).toMatch(/^Wait for the answer/);
			await stop();
			await state(page, "stopped", n + 1);
			const job = await jobShown(page, n + 1);
			expect(job.status).toBe("canceled");
			expect(await text(page, inTurn(".text"))).toBe(job.output.text);
			expect(job.price).toBe(sumOf(job.price_parts));
			expect(await text(page, inTurn(".price"))).toBe(usd(job.price));
		}
		proxy.stall = null;
		await ask(page, "Go on.", 3);
		expect(await code(page, "curl")).toContain(
			`"previous_job":"${await jobId(page, 2)}"`,
		);
		expect(troubles).toEqual([]);
	});

	it("asks the last question again in place of its answer", async () => {
		const { page, troubles } = await withCat();
		await settings(page, 16);
		await ask(page, "What is in this picture?", 1);
		const kept = await jobId(page, 1);
		await page.getByLabel("Temperature").fill("2");
		await ask(page, "Tell me a story about it.", 2);
		const replaced = await jobId(page, 2);
		await page.getByRole("button", { name: "Ask again" }).last().click();
		await state(page, "writing", 2);
		await state(page, "done", 2);
		expect(await page.locator(".turn").count()).toBe(2);
		expect(await jobId(page, 1)).toBe(kept);
		expect(await jobId(page, 2)).not.toBe(replaced);
		expect(await code(page, "curl")).toContain(`"previous_job":"${kept}"`);
		expect(troubles).toEqual([]);
	});

	it("survives a reload in the middle of an answer, which comes whole", async () => {
		const { page, troubles } = await withCat();
		await settings(page, 16);
		await ask(page, "What is in this picture?", 1);
		await ask(page, "What colour is it?", 2);
		const before = await Promise.all(
			[1, 2].map((n) => text(page, inTurn(".text", n))),
		);
		const ids = await Promise.all([1, 2].map((n) => jobId(page, n)));
		await page.getByLabel("Longest answer").fill("64");
		await page.getByLabel("Temperature").fill("2");
		proxy.stall = 3;
		await task(page, "Story");
		await state(page, "writing", 3);
		await page.reload();
		await state(page, "writing", 3);
		expect(await text(page, "#go")).toBe("Stop");
		proxy.stall = null;
		await state(page, "done", 3);

		const job = await jobShown(page, 3);
		expect(await text(page, inTurn(".text", 3))).toBe(job.output.text);
		expect(await text(page, inTurn(".status", 3))).toMatch(
			/^Complete and verified/,
		);
		for (const n of [1, 2]) {
			expect(await text(page, inTurn(".text", n))).toBe(before[n - 1]);
			expect(await jobId(page, n)).toBe(ids[n - 1]);
		}
		expect(await page.locator("#shown").isVisible()).toBe(true);
		const { data } = await (await api("/jobs?limit=1")).json();
		expect(data[0].id).toBe(job.id); // nothing was asked twice

		await settings(page, 8);
		await ask(page, "And now?", 4);
		expect(await code(page, "curl", 4)).toContain(`"previous_job":"${job.id}"`);
		expect(troubles).toEqual([]);
	});

	it("shows what the model sees before a task, and tells that in the call as code", async () => {
		const { page, troubles } = await withCat();
		const told = "Once a cat sat on a sofa.";
		const events: [string, object][] = [
			["job.running", { status: "running" }],
			["description", { text: "A cat" }],
			["description", { text: " on a sofa." }],
			["token", { text: told }],
			["usage", { images: 1, prompt_tokens: 40, output_tokens: 14 }],
			["job.succeeded", { status: "succeeded", price: 1000 }],
			["done", { sha256: createHash("sha256").update(told).digest("hex") }],
		];
		await page.route("**/v1/jobs/*", (route) =>
			route.fulfill({ contentType: "text/event-stream", body: stream(events) }),
		);
		await task(page, "Story");
		await state(page, "done");
		expect(await text(page, inTurn(".sees"))).toBe("It sees: A cat on a sofa.");
		expect(await text(page, inTurn(".text"))).toBe(told);
		expect(await text(page, inTurn(".status"))).toBe("Complete and verified");
		const chat = await code(page, "OpenAI");
		expect(chat).toContain('content: "A cat on a sofa."');
		expect(chat).toContain(
			'content: "Write a short story about this picture."',
		);
		expect(await code(page, "curl")).toContain('"task":"story"');
		expect(troubles).toEqual([]);
	});

	it("ends with another photo, or with a new one about the same", async () => {
		const { page, troubles } = await withCat();
		await settings(page, 4);
		await ask(page, "What is this?", 1);
		await page.getByRole("button", { name: "New conversation" }).click();
		expect(await page.locator(".turn").count()).toBe(0);
		expect(await page.locator("#shown").isVisible()).toBe(true);
		await ask(page, "What is this?", 1);
		expect(await code(page, "curl")).toContain('"images":[{"upload":"img_');
		await page.getByRole("button", { name: "a rocket" }).click();
		await expect.poll(() => page.locator(".turn").count()).toBe(0);
		await page.reload();
		await page.waitForLoadState("networkidle");
		expect(await page.locator(".turn").count()).toBe(0);
		expect(troubles).toEqual([]);
	});
});

/** USD that the account has left. */
async function balance(): Promise<number> {
	const account = await (await api("/account")).json();
	return account.balance.available / 1e6;
}

describe("a broken connection", () => {
	/** Asks for a story through a wire that fails after the first token. */
	async function storyOver(wire: Wire) {
		const { page } = await withCat({ url: wire.url });
		await settings(page, 64, 2);
		return page;
	}

	it("is picked up where it broke, and the answer is still whole", async () => {
		const wire = await wireTo(stack.url, "event: token", "cut");
		try {
			const page = await storyOver(wire);
			const words = await recordTurns(page, ".status");
			const resumedAfter: (string | undefined)[] = [];
			page.on("request", (request) => {
				if (request.url().endsWith("/events"))
					resumedAfter.push(request.headers()["last-event-id"]);
			});
			await task(page, "Story");
			await state(page, "done");

			expect((await words()).join("\n")).toMatch(/Connection lost/);
			expect(resumedAfter.length).toBe(1);
			expect(Number(resumedAfter[0])).toBeGreaterThan(1);
			expect(await text(page, inTurn(".status"))).toMatch(
				/^Complete and verified/,
			);
			const job = await jobShown(page);
			expect(await text(page, inTurn(".text"))).toBe(job.output.text);
		} finally {
			await wire.stop();
		}
	});

	it("may leave an answer unread: the job goes on, and trying again brings all of it", async () => {
		const wire = await wireTo(stack.url, "event: token", "cut");
		try {
			const page = await storyOver(wire);
			await page.route("**/events", (route) =>
				route.fulfill({ status: 403, body: "no" }),
			);
			await task(page, "Story");
			await state(page, "failed");
			await page.unroute("**/events");
			await page.getByRole("button", { name: "Try again" }).click();
			await state(page, "done");
			const job = await jobShown(page);
			expect(await text(page, inTurn(".text"))).toBe(job.output.text);
			expect(await page.locator(".turn").count()).toBe(1);
		} finally {
			await wire.stop();
		}
	});

	it("before anything came is no second job: the question is sent again under its id", async () => {
		const { page } = await withCat();
		await settings(page, 8);
		const sentTo: string[] = [];
		await page.route("**/v1/jobs/*", async (route) => {
			sentTo.push(route.request().url());
			// The API has the first one, and its answer is lost.
			if (sentTo.length === 1) {
				await route.fetch({
					headers: { ...route.request().headers(), accept: "application/json" },
				});
				return route.abort();
			}
			return route.continue();
		});
		await ask(page, "What is this?", 1);
		expect(sentTo.length).toBe(2);
		expect(sentTo[1]).toBe(sentTo[0]);
		const { price, price_parts } = await jobShown(page);
		expect(price).toBe(sumOf(price_parts));
	});
});

describe("the call as code", () => {
	const run = promisify(execFile);
	let project: Installed;
	beforeAll(async () => {
		project = await installSDK();
		await symlink(
			join(root, "node_modules/openai"),
			join(project.folder, "node_modules/openai"),
		);
	});
	afterAll(() => project?.remove());

	const env = () => ({ ...process.env, MINIGPT4_API_KEY: stack.key });
	async function said(name: "curl" | "SDK" | "OpenAI", code: string) {
		if (name === "curl") {
			const { stdout } = await run("bash", ["-euc", code], { env: env() });
			expect(stdout).toMatch(/event: done\n/);
			return [...stdout.matchAll(/event: token\ndata: (.*)/g)]
				.map(([, data]) => JSON.parse(data ?? "").text)
				.join("");
		}
		const file = join(project.folder, "sample.mjs");
		await writeFile(file, code);
		return (await run(process.execPath, [file], { env: env() })).stdout;
	}

	it("runs as pasted and says what the turn says, in a first turn and a later one", async () => {
		const { page } = await withCat();
		await settings(page, 16);
		await ask(page, "What's in this picture?", 1);
		await ask(page, 'Say "it\'s $HOME",\nor `not`.', 2);
		await task(page, "Describe");
		await state(page, "done", 3);
		for (const n of [1, 2, 3])
			for (const name of ["curl", "SDK", "OpenAI"] as const) {
				const shown = await code(page, name, n);
				expect(shown).not.toContain("mg_live_");
				expect(await said(name, shown)).toBe(
					await text(page, inTurn(".text", n)),
				);
			}
		await page.locator(inTurn(".panel:not([hidden]) button")).click();
		await page.waitForFunction(
			() => document.getElementById("said")?.textContent === "Copied",
		);
		expect(
			(await page.evaluate(() => navigator.clipboard.readText())).trim(),
		).toBe((await code(page, "OpenAI")).trim());
	});
});

describe("the price of a question", () => {
	it("is shown before it is asked, and is about what it costs", async () => {
		const { page, troubles } = await withCat();
		const expected = page.locator("#expected-price");
		await expected.waitFor();
		const first = await expected.textContent();
		expect(first).toMatch(/^About 0\.0001\d+ USD, at most 0\.000\d+ USD$/);
		await page
			.locator("#prompt")
			.fill(`What is it? ${"Say more. ".repeat(40)}`);
		await expect.poll(() => expected.textContent()).not.toBe(first);
		await page.locator("#prompt").fill("");
		await expected.waitFor({ state: "hidden" });
		await settings(page, 8);
		await page.locator("#prompt").fill("What is in this picture?");
		await expected.waitFor();
		const words = (await expected.textContent()) ?? "";
		const [about = 0, most = 0] = Array.from(
			words.matchAll(/([\d.]+) USD/g),
			([, amount]) => Number(amount),
		);
		await page.keyboard.press("Enter");
		await state(page, "done", 1);
		const price = Number.parseFloat(await text(page, inTurn(".price")));
		expect(price).toBeLessThanOrEqual(most);
		expect(Math.abs(about - price)).toBeLessThan(0.15 * price);
		expect(troubles).toEqual([]);
	});

	it("keeps nobody from asking where it is not to be had", async () => {
		const { page } = await visit();
		await page.route("**/v1/quotes", (route) => route.abort());
		await page.getByRole("button", { name: "a cat" }).click();
		await sent(page);
		await settings(page, 4);
		const tried = page.waitForRequest("**/v1/quotes");
		await page.locator("#prompt").fill("What is this?");
		await tried;
		await page.keyboard.press("Enter");
		await state(page, "done", 1);
		expect(await page.locator("#expected-price").isVisible()).toBe(false);
	});
});

describe("the key", () => {
	it("leaves the address bar and the document, and stays for the tab only", async () => {
		const { page } = await visit();
		expect(page.url()).toBe(`${stack.url}/`);
		expect(await page.content()).not.toContain(stack.key);
		expect(await text(page, "#account")).toContain("USD left");
		await page.reload();
		expect(await page.locator("#key-form").isVisible()).toBe(false);
		const other = await page.context().newPage();
		await other.goto(stack.url);
		expect(await other.locator("#key-form").isVisible()).toBe(true);
	});

	it("is asked for when there is none, and a photo chosen before is sent then", async () => {
		const { page, troubles } = await visit({ key: null });
		await page.getByRole("button", { name: "a cat" }).click();
		await page.getByRole("button", { name: "Ask", exact: true }).click();
		expect(await text(page, "#form-problem")).toBe("Paste your API key first.");
		expect(
			await page.locator("#key").evaluate((e) => e.matches(":focus")),
		).toBe(true);
		await page.keyboard.type("mg_live_half");
		await page.keyboard.press("Enter");
		expect(await text(page, "#key-problem")).toMatch(/not a whole key/);
		await page.locator("#key").fill(stack.key);
		await page.keyboard.press("Enter");
		await sent(page);
		expect(await page.locator("#key-form").isVisible()).toBe(false);
		expect(troubles).toEqual([]);
	});

	it("that is not ours is refused in words", async () => {
		const forged = `mg_live_${"a".repeat(16)}_${"b".repeat(52)}_${"c".repeat(16)}`;
		const { page } = await visit({ key: forged });
		await page.waitForSelector("#key-problem:not([hidden])");
		expect(await text(page, "#key-problem")).toMatch(/not a key of this API/);
	});
});

describe("what goes wrong", () => {
	it("with a photo is said in words, with the request's id", async () => {
		const { page } = await visit();
		const fake = {
			name: "notes.jpg",
			mimeType: "image/jpeg",
			buffer: Buffer.from("not a photo at all, although its name says so"),
		};
		await page.locator("#file").setInputFiles(fake);
		await page.waitForSelector("#photo-problem:not([hidden])");
		expect(await text(page, "#photo-problem")).toMatch(
			/not a JPEG, PNG, WebP or GIF.*req_/s,
		);
		await page.getByRole("button", { name: "Ask" }).click();
		expect(await text(page, "#form-problem")).toBe("Choose a photo first.");
		await page
			.locator("#file")
			.setInputFiles({ ...fake, name: "notes.txt", mimeType: "text/plain" });
		await page.waitForFunction(() =>
			document
				.getElementById("photo-problem")
				?.textContent?.includes("text/plain"),
		);
		// What is a photo by its bytes is one, whatever it is called.
		const buffer = await readFile(CAT);
		for (const [name, mimeType] of [
			["photo", ""],
			["photo.txt", "text/plain"],
			["photo.png", "image/png"],
		] as const) {
			await page.locator("#file").setInputFiles({ name, mimeType, buffer });
			await sent(page);
			expect(await page.locator("#photo-problem").isVisible()).toBe(false);
		}
	});

	it("with a question is said in its turn, and the next one goes on from before it", async () => {
		const { page } = await withCat();
		await settings(page, 4);
		await ask(page, "What is this?", 1);
		await ask(page, `${"word ".repeat(6000)}?`, 2, "failed");
		expect(await text(page, inTurn(".trouble"))).toMatch(
			/tokens.*context_length_exceeded.*req_/s,
		);
		await page.getByRole("button", { name: "Edit the question" }).click();
		expect(await page.locator(".turn").count()).toBe(1);
		expect(await page.locator("#prompt").inputValue()).toMatch(/^word word/);
		await ask(page, `${"word ".repeat(6000)}?`, 2, "failed");
		await ask(page, "What colour is it?", 3);
		expect(await code(page, "curl")).toContain(
			`"previous_job":"${await jobId(page, 1)}"`,
		);
		await page.reload();
		await state(page, "done", 3);
		expect(await text(page, inTurn(".trouble", 2))).toMatch(
			/context_length_exceeded/,
		);
	});

	it("with money is said in its turn, and asking again works once there is some", async () => {
		const admin = async (path: string, body: object) => {
			const answer = await fetch(`${stack.url}/admin/accounts${path}`, {
				method: "POST",
				headers: {
					Authorization: `Bearer ${stack.secrets.adminSecret}`,
					"Content-Type": "application/json",
				},
				body: JSON.stringify(body),
			});
			return answer.json();
		};
		const { id } = await admin("", { name: "poor" });
		const { key } = await admin(`/${id}/keys`, { name: "page" });
		const { page } = await withCat({ key });
		await settings(page, 4);
		await ask(page, "What is this?", 1, "failed");
		expect(await text(page, inTurn(".trouble"))).toMatch(
			/may cost \d+ micro-USD, 0 are available.*insufficient_credit.*req_/s,
		);
		await admin(`/${id}/credits`, { id: "gift", amount: 1_000 });
		await page.getByRole("button", { name: "Ask again" }).click();
		await state(page, "done", 1);
		const shown = await text(page, inTurn(".price"));
		expect(shown).toMatch(/^0\.0001\d+ USD$/);
		const price = Math.round(Number.parseFloat(String(shown)) * 1e6);
		await expect
			.poll(() => text(page, "#credit"))
			.toBe(`${usd(1_000 - price)} left`);
	});

	it.each([
		["its job", "job_gone", (_: string, job: string) => `/jobs/${job}`],
		["the photo", "image_gone", (upload: string) => `/uploads/${upload}`],
	] as const)(
		"when %s was deleted meanwhile is said, and the whole conversation can be sent",
		async (_, failure, path) => {
			const { page } = await withCat();
			await settings(page, 8);
			await ask(page, "What is this?", 1);
			const { images } = await jobShown(page, 1);
			const deleted = await api(path(images[0].upload, await jobId(page, 1)), {
				method: "DELETE",
			});
			expect(deleted.status).toBe(204);
			await ask(page, "What colour is it?", 2, "failed");
			expect(await text(page, inTurn(".trouble"))).toContain(failure);
			await page.getByRole("button", { name: "Ask again" }).last().click();
			await state(page, "done", 2);
			expect(await code(page, "curl")).toContain('"messages":[');
			await ask(page, "And how big?", 3);
			expect(await code(page, "curl")).toContain(
				`"previous_job":"${await jobId(page, 2)}"`,
			);
		},
	);

	it("in the model is said with its code, costs nothing, and loses nothing", async () => {
		const { page } = await withCat();
		await settings(page, 4);
		await ask(page, "What is this?", 1);
		const events: [string, object][] = [
			["job.running", { status: "running" }],
			["token", { text: "Half of " }],
			["usage", { images: 1, prompt_tokens: 9, output_tokens: 2 }],
			[
				"job.failed",
				{
					status: "failed",
					price: 0,
					error: { code: "backend_failed", message: "The model broke." },
				},
			],
			[
				"done",
				{ sha256: createHash("sha256").update("Half of ").digest("hex") },
			],
		];
		await page.route("**/v1/jobs/*", (route) =>
			route.fulfill({ contentType: "text/event-stream", body: stream(events) }),
		);
		await ask(page, "And this?", 2, "failed");
		expect(await text(page, inTurn(".text"))).toBe("Half of ");
		expect(await text(page, inTurn(".trouble"))).toMatch(
			/^The model broke\.backend_failed · [0-9A-Z]{26}/,
		);
		expect(await text(page, inTurn(".price"))).toBe("0.00 USD");
		await page.unroute("**/v1/jobs/*");
		await page.getByRole("button", { name: "Ask again" }).last().click();
		await state(page, "done", 2);
		expect(await code(page, "curl")).toContain(
			`"previous_job":"${await jobId(page, 1)}"`,
		);
	});

	it("asks for a key in the middle of a conversation, and the next turn sends it all", async () => {
		const { page } = await withCat();
		await settings(page, 8);
		await ask(page, "What is this?", 1);
		await page.getByRole("button", { name: "Change key" }).click();
		await page.locator("#key").fill(await stack.stranger());
		await page.keyboard.press("Enter");
		await sent(page);
		await ask(page, "What colour is it?", 2);
		expect(await code(page, "curl")).toContain('"messages":[');
	});

	it("with a setting is said before anything is asked", async () => {
		const { page } = await visit();
		await page.getByRole("button", { name: "a cat" }).click();
		await sent(page);
		await settings(page, 5000);
		await page.getByRole("button", { name: "Ask", exact: true }).click();
		expect(await text(page, "#form-problem")).toMatch(/1 to 2,048/);
		expect(await page.locator(".turn").count()).toBe(0);
	});
});

describe("a website answer", () => {
	/**
	 * No small model writes the attack that this frame is for, so a script gives the job's events.
	 */
	const answered = async (html: string, question = "Website") => {
		const visited = await visit();
		const { page } = visited;
		const body = stream([
			["job.running", { id: "01JD8Z6Q3V9Y4K2M7N5P8R1S3T", status: "running" }],
			["token", { text: html }],
			["usage", { images: 1, prompt_tokens: 9, output_tokens: 9 }],
			["job.succeeded", { status: "succeeded", price: 1000 }],
			["done", { sha256: createHash("sha256").update(html).digest("hex") }],
		]);
		await page.route("**/v1/jobs/*", (route) =>
			route.fulfill({ contentType: "text/event-stream", body }),
		);
		await page.getByRole("button", { name: "a cat" }).click();
		await sent(page);
		if (question === "Website") {
			await task(page, question);
			await state(page, "done");
		} else await ask(page, question, 1);
		return visited;
	};

	it("is shown as a page whatever was asked, where it is a whole document", async () => {
		const question = "Build the page that is drawn here.";
		const html = "<!doctype html><html><body><h1>Tea Shop</h1></body></html>";
		const { page } = await answered(html, question);
		const frame = page.frameLocator(".preview iframe");
		expect(await frame.locator("h1").textContent()).toBe("Tea Shop");
		const other = await answered("Use <b>bold</b> type.", question);
		expect(await other.page.locator(".preview").isVisible()).toBe(false);
	});

	it("is shown as source and as a page, with the page's own styles", async () => {
		const html =
			"Here it is:\n```html\n<!doctype html><style>h1 { color: rgb(1, 2, 3) }</style>" +
			'<h1>Cats</h1><p style="color: rgb(4, 5, 6)">purr</p>\n```';
		const { page, troubles } = await answered(html);
		expect(await text(page, inTurn(".text"))).toBe(html);
		expect(await page.locator(".text h1").count()).toBe(0);
		const frame = page.frameLocator(".preview iframe");
		const colour = (selector: string) =>
			frame.locator(selector).evaluate((e) => getComputedStyle(e).color);
		expect(await colour("h1")).toBe("rgb(1, 2, 3)");
		expect(await colour("p")).toBe("rgb(4, 5, 6)");
		expect(await frame.locator("body").textContent()).not.toContain("```");
		expect(troubles).toEqual([]);
	});

	it("runs nothing, and could reach neither the page nor the key if it did", async () => {
		const { page } = await answered(
			`<h1>Cats</h1><script>document.title = "ran"; parent.document.title = "reached"</script>
			<img src="/x.png" onerror="document.title = 'ran'">
			<a href="javascript:document.title='ran'">meow</a>
			<meta http-equiv="refresh" content="0;url=/">`,
		);
		const frame = await (
			await page.waitForSelector(".preview iframe")
		).contentFrame();
		if (!frame) throw new Error("the preview has no document");
		await frame.waitForSelector("h1");
		await frame.locator("a").click();
		await page.waitForTimeout(300);
		expect(await page.title()).toBe("Ask a photo · MiniGPT-4");
		expect(await frame.title()).toBe("");
		expect(await frame.locator("h1").textContent()).toBe("Cats");

		const reach = await frame.evaluate(async () => {
			const attempt = async (act: () => unknown) => {
				try {
					await act();
					return "reached";
				} catch (error) {
					return (error as Error).name;
				}
			};
			return {
				origin,
				page: await attempt(() => parent.document.title),
				key: await attempt(() => sessionStorage.length),
				network: await attempt(() => fetch("/healthz")),
			};
		});
		expect(reach).toEqual({
			origin: "null",
			page: "SecurityError",
			key: "SecurityError",
			network: "TypeError",
		});
	});
});

describe("axe", () => {
	const SERIOUS = ["serious", "critical"];
	async function violations(page: Page) {
		await page.evaluate(axe.source);
		const { violations } = await page.evaluate(() =>
			(globalThis as unknown as { axe: typeof axe }).axe.run(),
		);
		return violations
			.filter(({ impact }) => SERIOUS.includes(impact ?? ""))
			.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)]);
	}

	it.each(
		(["light", "dark"] as const).flatMap((colorScheme) => [
			{ colorScheme, viewport: { width: 1280, height: 860 } },
			{ colorScheme, viewport: PHONE },
		]),
	)(
		"finds nothing serious, $colorScheme, $viewport.width wide",
		async (look) => {
			const keyless = await visit({ ...look, key: null });
			expect(await violations(keyless.page)).toEqual([]);
			const { page } = await visit(look);
			expect(await violations(page)).toEqual([]);
			await page.getByRole("button", { name: "a cat" }).click();
			await sent(page);
			await settings(page, 64, 2);
			proxy.stall = 3;
			await task(page, "Story");
			await state(page, "writing");
			expect(await violations(page)).toEqual([]);
			await page.keyboard.press("Escape");
			await state(page, "stopped");
			proxy.stall = null;
			await page.getByLabel("Longest answer").fill("8");
			await ask(page, "What is this?", 2);
			await ask(page, `${"word ".repeat(6000)}?`, 3, "failed");
			await task(page, "Website");
			await state(page, "done", 4);
			await code(page, "OpenAI");
			expect(await violations(page)).toEqual([]);
		},
	);
});

/** Events as a stream. */
const stream = (events: [type: string, data: object][]) =>
	events
		.map(
			([type, data], n) =>
				`id: ${n + 1}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`,
		)
		.join("");

/** A PNG that does not compress. */
function noise(width: number, height: number): Buffer {
	const rows = randomFillSync(Buffer.alloc((1 + width * 3) * height));
	for (let y = 0; y < height; y++) rows[y * (1 + width * 3)] = 0; // no filter
	const chunk = (type: string, data: Buffer) => {
		const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
		const framed = Buffer.alloc(body.length + 8);
		framed.writeUInt32BE(data.length, 0);
		body.copy(framed, 4);
		framed.writeUInt32BE(crc32(body), body.length + 4);
		return framed;
	};
	const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0]);
	header.writeUInt32BE(width, 0);
	header.writeUInt32BE(height, 4);
	return Buffer.concat([
		Buffer.from("89504e470d0a1a0a", "hex"),
		chunk("IHDR", header),
		chunk("IDAT", deflateSync(rows, { level: 1 })),
		chunk("IEND", Buffer.alloc(0)),
	]);
}
