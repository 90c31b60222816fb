/** The playground in a real browser, over the whole stack. */
import { execFile } from "node:child_process";
import { createHash, randomFillSync } from "node:crypto";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { crc32, deflateSync } from "node:zlib";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { FakeWorker } from "../support/fake-worker.ts";
import { serve } from "../support/fake-worker-server.ts";
import { openBrowser } from "./browser.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { type Wire, wireTo } from "./wire.ts";

const CAT = "samples/cat.jpg";
const PHONE = { width: 360, height: 740 };

let stack: Deployment;
let browser: Browser;

beforeAll(async () => {
	stack = await deploy();
	browser = await openBrowser();
});
afterAll(async () => {
	await browser?.close();
	await stack?.stop();
});
afterEach(async () => {
	for (const context of browser.contexts()) await context.close();
});

/** A page in a context of its own, and what went wrong in its console, policy violations included. */
async function visit({
	url = stack.url,
	key = stack.key as string | null,
	viewport = { width: 1280, height: 860 },
} = {}): Promise<{ page: Page; troubles: string[] }> {
	const context = await browser.newContext({ viewport });
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

/** Settings that make an answer short and the same each time; or hot, which makes it as long as it may be. */
async function settings(page: Page, tokens: number, temperature = 0) {
	await page.locator("summary").click();
	await page.getByLabel("Longest answer").fill(String(tokens));
	await page.getByLabel("Temperature").fill(String(temperature));
}

const sent = (page: Page) => page.waitForSelector("#command:not([hidden])");
const state = (page: Page, wanted: string) =>
	page.waitForSelector(`#answer[data-state="${wanted}"]`);

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

/** The job as the API tells it. */
async function jobShown(page: Page) {
	const id = await text(page, "#facts dd.ids");
	const response = await fetch(`${stack.url}/v1/jobs/${id}`, {
		headers: { Authorization: `Bearer ${stack.key}` },
	});
	expect(response.status).toBe(200);
	return response.json();
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
		const texts = await record(page, "#text");
		const words = await record(page, "#status");
		await page.getByRole("button", { name: "Ask" }).click();
		await state(page, "done");

		const job = await jobShown(page);
		const shown = await text(page, "#text");
		expect(shown).toBe(job.output.text);
		expect(createHash("sha256").update(shown).digest("hex")).toBe(job.sha256);
		expect(await text(page, "#status")).toMatch(/^Complete and verified/);
		expect(new Set((await texts()).filter(Boolean)).size).toBeGreaterThan(1);
		expect((await words()).join("\n")).toMatch(/Writing · first token after/);
		expect(await text(page, "#facts")).toMatch(
			new RegExp(`^Tokens${job.usage.output_tokens}First`),
		);
		expect(await text(page, "#facts")).toMatch(/Price0\.001 USD/);
		expect(await page.locator("#text").getAttribute("aria-busy")).toBe("false");
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
		await tabTo('[name="task"]:checked');
		await page.keyboard.press("ArrowRight");
		expect(await page.locator('[value="describe"]').isChecked()).toBe(true);
		await page.keyboard.press("ArrowLeft");
		await tabTo("#prompt");
		await page.keyboard.press("ControlOrMeta+A");
		await page.keyboard.type("What animal is this?");
		await tabTo("summary");
		await page.keyboard.press("Enter");
		await tabTo('[name="max_tokens"]');
		await page.keyboard.type("8");
		await tabTo("#go");
		expect(await outlined("#go")).toBe(true);
		await page.keyboard.press("Enter");
		await state(page, "done");
		await tabTo("#copy-answer");
		await page.keyboard.press("Enter");
		await page.waitForFunction(() =>
			document.getElementById("said")?.textContent?.includes("copied"),
		);
		expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(
			await text(page, "#text"),
		);
		expect(troubles).toEqual([]);
	});

	it("fit a phone: nothing scrolls sideways at 360 px, and the answer comes into view", async () => {
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
			.locator("#status")
			.evaluate((e) => e.getBoundingClientRect().top);
		expect(top).toBeGreaterThanOrEqual(0);
		expect(top).toBeLessThan(PHONE.height);
		expect(troubles).toEqual([]);
	});
});

describe("the model", () => {
	it("is no question where one is served", async () => {
		const { page, troubles } = await visit();
		expect(await page.locator("#model-choice").isVisible()).toBe(false);
		expect(await page.locator("#about-nano").isVisible()).toBe(true);
		await page.getByRole("button", { name: "a cat" }).click();
		await sent(page);
		expect(await text(page, "#command")).not.toContain("model");
		expect(troubles).toEqual([]);
	});

	it("is chosen from those that are served, each with its price, and is asked and named", async () => {
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
				"nano · 0.001 USD",
				"vicuna-7b · 0.005 USD",
			]);
			expect(await sideways(page)).toBe(0);
			await page.getByRole("button", { name: "a cat" }).click();
			await sent(page);
			expect(await text(page, "#command")).toContain('"model":"nano"');
			await model.focus();
			await page.keyboard.press("ArrowDown");
			expect(await text(page, "#command")).toContain('"model":"vicuna-7b"');
			expect(await page.locator("#about-nano").isVisible()).toBe(false);
			expect(await text(page, "#about-other")).toMatch(
				/^vicuna-7b has 7\.8 billion parameters and reads 2,048 tokens/,
			);
			await page.getByRole("button", { name: "Ask" }).click();
			await state(page, "done");
			expect(await text(page, "#text")).toBe("A cat on a sofa.");
			expect(await text(page, "#facts")).toMatch(
				/Price0\.005 USDModelvicuna-7b/,
			);
			expect(fake.requests.map(({ model }) => model)).toEqual(["vicuna-7b"]);
			expect(troubles).toEqual([]);
		} finally {
			await two.stop();
		}
	});
});

describe("a broken connection", () => {
	/** Asks for a story through a wire that fails after the first token. */
	async function storyOver(wire: Wire) {
		const { page } = await visit({ url: wire.url });
		await page.getByRole("button", { name: "a cat" }).click();
		await sent(page);
		await settings(page, 64, 2);
		await page.getByRole("radio", { name: "Story" }).check();
		return page;
	}

	it("is picked up where it broke, and the answer is still whole", async () => {
		const wire = await wireTo(stack.url, "event: token", "cut");
		try {
			const page = await storyOver(wire);
			const words = await record(page, "#status");
			const resumedAfter: (string | undefined)[] = [];
			page.on("request", (request) => {
				if (request.url().endsWith("/events"))
					resumedAfter.push(request.headers()["last-event-id"]);
			});
			await page.getByRole("button", { name: "Write" }).click();
			await state(page, "done");

			expect((await words()).join("\n")).toMatch(/Connection lost/);
			expect(resumedAfter.length).toBe(1);
			expect(Number(resumedAfter[0])).toBeGreaterThan(1);
			expect(await text(page, "#status")).toMatch(/^Complete and verified/);
			const job = await jobShown(page);
			expect(await text(page, "#text")).toBe(job.output.text);
		} finally {
			await wire.stop();
		}
	});

	it("may also be wanted: following stops, the job goes on, following again brings the rest", async () => {
		const wire = await wireTo(stack.url, "event: token", "hold");
		try {
			const page = await storyOver(wire);
			await page.getByRole("button", { name: "Write" }).click();
			await state(page, "writing");
			await page.getByRole("button", { name: "Stop following" }).click();
			await state(page, "stopped");
			const before = await text(page, "#text");
			await page.getByRole("button", { name: "Follow again" }).click();
			await state(page, "done");
			const after = await text(page, "#text");
			expect(after.startsWith(before)).toBe(true);
			expect(after.length).toBeGreaterThan(before.length);
			expect(after).toBe((await jobShown(page)).output.text);
		} finally {
			await wire.stop();
		}
	});
});

describe("the command", () => {
	it("shows the key masked, copies it whole, and does the same as the page", async () => {
		const { page } = await visit();
		await page.getByRole("button", { name: "a cat" }).click();
		await sent(page);
		await settings(page, 8);
		await page.locator("#prompt").fill("What's in this picture?");
		const shown = await text(page, "#command");
		expect(shown).toContain("Bearer mg_live_…");
		expect(shown).not.toContain(stack.key);
		await page.locator("#copy-command").click();
		await page.waitForFunction(() =>
			document.getElementById("said")?.textContent?.startsWith("Copied"),
		);
		const copied = await page.evaluate(() => navigator.clipboard.readText());
		expect(copied).toContain(stack.key);

		await page.getByRole("button", { name: "Ask" }).click();
		await state(page, "done");
		const { stdout } = await promisify(execFile)("sh", ["-c", copied]);
		expect(stdout).toMatch(/event: done\n/);
		const said = [...stdout.matchAll(/event: token\ndata: (.*)/g)]
			.map(([, data]) => JSON.parse(data ?? "").text)
			.join("");
		expect(said).toBe(await text(page, "#text"));
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
		await page.getByRole("button", { name: "Ask" }).click();
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

	it("with a question is said in words, and the next one works", async () => {
		const { page } = await visit();
		await page.getByRole("button", { name: "a cat" }).click();
		await sent(page);
		await page.locator("#prompt").fill(`${"word ".repeat(6000)}?`);
		await page.getByRole("button", { name: "Ask" }).click();
		await state(page, "failed");
		expect(await text(page, "#problem")).toMatch(
			/tokens.*context_length_exceeded.*req_/s,
		);
		await page.locator("#prompt").fill("What is this?");
		await settings(page, 4);
		await page.getByRole("button", { name: "Ask" }).click();
		await state(page, "done");
		expect(await page.locator("#problem").isVisible()).toBe(false);
	});

	it("with a setting is said before anything is asked", async () => {
		const { page } = await visit();
		await page.getByRole("button", { name: "a cat" }).click();
		await sent(page);
		await settings(page, 5000);
		await page.getByRole("button", { name: "Ask" }).click();
		expect(await text(page, "#form-problem")).toMatch(/1 to 2,048/);
		expect(await page.locator("#answer").getAttribute("data-state")).toBe(
			"empty",
		);
	});
});

describe("a website answer", () => {
	/** No small model writes the attack that this frame is for, so the job's events are written here. */
	const answered = async (html: string) => {
		const visited = await visit();
		const { page } = visited;
		const events: [string, object][] = [
			["job.running", { id: "01JD8Z6Q3V9Y4K2M7N5P8R1S3T", status: "running" }],
			["token", { text: html }],
			["usage", { images: 1, prompt_tokens: 9, output_tokens: 9 }],
			["job.succeeded", { status: "succeeded", price: 1000 }],
			["done", { sha256: createHash("sha256").update(html).digest("hex") }],
		];
		await page.route("**/v1/jobs", (route) =>
			route.fulfill({
				contentType: "text/event-stream",
				body: events
					.map(
						([type, data], n) =>
							`id: ${n + 1}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`,
					)
					.join(""),
			}),
		);
		await page.getByRole("button", { name: "a cat" }).click();
		await sent(page);
		await page.getByRole("radio", { name: "Website" }).check();
		await page.getByRole("button", { name: "Write" }).click();
		await state(page, "done");
		return visited;
	};

	it("is shown as source and as a page, with the page's own styles", async () => {
		const html =
			'Here it is:\n```html\n<!doctype html><style>h1 { color: rgb(1, 2, 3) }</style><h1>Cats</h1><p style="color: rgb(4, 5, 6)">purr</p>\n```';
		const { page, troubles } = await answered(html);
		expect(await text(page, "#text")).toBe(html);
		expect(await page.locator("#text h1").count()).toBe(0);
		const frame = page.frameLocator("#preview iframe");
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
			<img src="/x.png" onerror="document.title = 'ran'"><a href="javascript:document.title='ran'">meow</a>
			<meta http-equiv="refresh" content="0;url=/">`,
		);
		const frame = await (
			await page.waitForSelector("#preview iframe")
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
