/** The review page of `minigpt4-worker curate` in a real browser, served by the command itself. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
	copyFile,
	mkdir,
	mkdtemp,
	readFile,
	rm,
	writeFile,
} from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { gpuWorker, root, venv } from "../../scripts/paths.mjs";
import { openBrowser } from "./browser.ts";

const PHOTOS: Record<string, string[]> = {
	cat: [
		"A striped cat looks into the camera .",
		"A tabby cat is looking at the camera with green eyes .",
		"A close up of a striped cat with whiskers .",
	],
	coffee: [
		"A white cup of coffee stands on a saucer with a spoon .",
		"A cup of black coffee is on a wooden table .",
		"A cup of coffee and a spoon .",
	],
	rocket: [
		"A rocket stands on a launch pad at night .",
		"A tall rocket is lit up on a launch pad .",
		"A rocket and a tower at night .",
	],
};
const PAGE = `<!DOCTYPE html>
<html><head><title>Words</title><style>h1 { color: rgb(10, 107, 85); }</style></head>
<body><h1>SUBJECT</h1>
<p>Here is a SUBJECT that is worth a visit, and the light around it is soft.</p>
<script>document.title = "broken out"</script></body></html>`;

let browser: Browser;
let editor: Server;
let work: string;
let command: ChildProcess | undefined;

/** Stands for the editor: what it writes has to be all sorts, and the same each time. */
function write(typed: string) {
	const subject = ["cat", "coffee", "rocket"].find((word) =>
		typed.includes(word),
	);
	if (typed.includes("poem"))
		return (
			`A ${subject} by the light,\nSo quiet and so near,\n` +
			"It stays throughout the night,\nAnd all the world is clear."
		);
	if (typed.includes("HTML")) return PAGE.replaceAll("SUBJECT", `${subject}`);
	return "I'm sorry, but I cannot see it.";
}

beforeAll(async () => {
	browser = await openBrowser();
	work = await mkdtemp(join(tmpdir(), "review-"));
	const samples = join(work, "samples");
	await mkdir(samples);
	for (const [key, captions] of Object.entries(PHOTOS)) {
		await copyFile(
			join(root, "samples", `${key}.jpg`),
			join(samples, `${key}.jpg`),
		);
		await writeFile(join(samples, `${key}.txt`), captions.join("\n"));
	}
	await promisify(execFile)("tar", [
		"-cf",
		join(work, "00000.tar"),
		"-C",
		samples,
		".",
	]);
	editor = createServer(async (request, response) => {
		let body = "";
		for await (const piece of request) body += piece;
		const content = write(JSON.parse(body).messages.at(-1).content);
		response.setHeader("content-type", "application/json");
		response.end(
			JSON.stringify({
				choices: [{ message: { content }, finish_reason: "stop" }],
			}),
		);
	});
	editor.listen(0, "127.0.0.1");
	await once(editor, "listening");
});
afterAll(async () => {
	await browser?.close();
	editor?.close();
	if (work) await rm(work, { recursive: true });
});
afterEach(async () => {
	for (const context of browser.contexts()) await context.close();
	command?.kill("SIGKILL");
	command = undefined;
});

/** `curate … --review` on a folder, until it says where its page is. */
async function serve(out: string) {
	const { port } = editor.address() as AddressInfo;
	const child = spawn(
		join(venv, "bin", "python"),
		[
			"-m",
			"minigpt4.cli",
			"curate",
			"--data",
			join(work, "00000.tar"),
			"--out",
			join(work, out),
			"--editor-url",
			`http://127.0.0.1:${port}`,
			"--editor-model",
			"m",
			"--kinds",
			"merged,poem,website,caption",
			"--creative-per-photo",
			"2",
			"--yes",
			"--review",
		],
		{ cwd: gpuWorker, stdio: ["ignore", "pipe", "inherit"] },
	);
	command = child;
	let said = "";
	child.stdout.on("data", (piece) => {
		said += piece;
	});
	const address = /^Review: (http\S+)/m;
	await new Promise<void>((resolve, reject) => {
		child.stdout.on("data", () => address.test(said) && resolve());
		child.once("exit", () => reject(new Error(`it left: ${said}`)));
	});
	return {
		url: address.exec(said)?.[1] as string,
		/** As Ctrl-C does. */
		async stop() {
			child.kill("SIGINT");
			const [code] = await once(child, "exit");
			return code;
		},
		async kill() {
			child.kill("SIGKILL");
			await once(child, "exit");
		},
	};
}

async function visit(
	url: string,
	{
		viewport = { width: 1280, height: 860 },
		colorScheme = "light" as "light" | "dark",
	} = {},
) {
	const context = await browser.newContext({ viewport, colorScheme });
	const page = await context.newPage();
	const troubles: string[] = [];
	const foreign: string[] = [];
	page.on("console", (message) => {
		// That the frame runs no script is what the test wants.
		if (
			["error", "warning"].includes(message.type()) &&
			!/sandboxed/.test(message.text())
		)
			troubles.push(message.text());
	});
	page.on("pageerror", (error) => troubles.push(String(error)));
	page.on("request", (request) => {
		if (!request.url().startsWith(url)) foreign.push(request.url());
	});
	await page.goto(url);
	await page.waitForSelector("#target:not([hidden])");
	await page.waitForSelector("#prompt:not(:empty)");
	return { page, troubles, foreign };
}

const text = async (page: Page, selector: string) =>
	(await page.locator(selector).textContent()) ?? "";
const decided = (page: Page) => text(page, "#sums");
const rows = async (file: string) =>
	(await readFile(file, "utf8"))
		.split("\n")
		.filter(Boolean)
		.map((line) => JSON.parse(line));

/** What a checker of accessibility finds first: names, contrast, what is wider than the page. */
const audit = (page: Page) =>
	page.evaluate(() => {
		const found: string[] = [];
		const visible = (element: Element) =>
			element.checkVisibility({ opacityProperty: true }) &&
			element.getBoundingClientRect().width > 1;
		for (const element of document.querySelectorAll(
			"button, input, select, textarea, iframe, img, dialog, [role=progressbar]",
		)) {
			const labels = "labels" in element ? (element.labels as NodeList) : null;
			const name =
				element.getAttribute("aria-label") ||
				element.getAttribute("alt") ||
				element.getAttribute("title") ||
				element.getAttribute("aria-labelledby") ||
				labels?.[0]?.textContent ||
				(element.tagName === "BUTTON" ? element.textContent : "");
			if (visible(element) && !name?.trim())
				found.push(`no name: ${element.outerHTML.slice(0, 80)}`);
		}
		const canvas = document.createElement("canvas").getContext("2d", {
			willReadFrequently: true,
		}) as CanvasRenderingContext2D;
		const rgba = (colour: string) => {
			canvas.clearRect(0, 0, 1, 1);
			canvas.fillStyle = colour;
			canvas.fillRect(0, 0, 1, 1);
			return [...canvas.getImageData(0, 0, 1, 1).data];
		};
		const light = (colour: number[]) => {
			const [r, g, b] = colour.map((c) => {
				const part = c / 255;
				return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
			}) as [number, number, number];
			return 0.2126 * r + 0.7152 * g + 0.0722 * b;
		};
		const walker = document.createTreeWalker(document.body, 4);
		for (let node = walker.nextNode(); node; node = walker.nextNode()) {
			const element = node.parentElement as HTMLElement;
			if (!node.textContent?.trim() || !visible(element)) continue;
			if (element.closest("button:disabled, .unseen, noscript, .skip"))
				continue;
			let behind: Element | null = element;
			let ground = [0, 0, 0, 0];
			while (behind && (ground[3] as number) < 128) {
				ground = rgba(getComputedStyle(behind).backgroundColor);
				behind = behind.parentElement;
			}
			const [a, b] = [
				light(rgba(getComputedStyle(element).color)),
				light(ground),
			];
			const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
			if (ratio < 4.5)
				found.push(`${ratio.toFixed(2)}: ${node.textContent.slice(0, 40)}`);
		}
		if (document.documentElement.scrollWidth > innerWidth)
			found.push("wider than the window");
		return found;
	});

describe("the review page", () => {
	it("takes decisions by keyboard, saves each at once, survives a kill, makes a set", async () => {
		const served = await serve("keys");
		const { page, troubles, foreign } = await visit(served.url);
		const out = join(work, "keys");
		const total = Number(/of (\d+)/.exec(await decided(page))?.[1]);
		expect(total).toBe(9);

		const first = await text(page, "#key");
		await page.keyboard.press("k");
		await expect.poll(() => decided(page)).toMatch(/^1 of 9.*1 kept/);
		expect(await rows(join(out, "decisions.jsonl"))).toMatchObject([
			{ decision: "keep" },
		]);
		const dropped = await text(page, "#answer");
		await page.keyboard.press("d");
		await expect.poll(() => decided(page)).toMatch(/^2 of 9.*1 dropped/);
		const before = await text(page, "#answer");
		await page.keyboard.press("e");
		await page
			.getByLabel("The answer, as it should be")
			.fill("What a person wrote, k and d among it.");
		await page.keyboard.press("Control+Enter");
		await expect.poll(() => decided(page)).toMatch(/^3 of 9.*1 edited/);

		// Undo goes back to what it was about; arrows look around without deciding.
		await page.keyboard.press("u");
		await expect.poll(() => text(page, "#answer")).toBe(before);
		expect(await decided(page)).toMatch(/^2 of 9.*0 edited/);
		await page.keyboard.press("ArrowLeft");
		await expect.poll(() => text(page, "#answer")).toBe(dropped);
		await page.keyboard.press("ArrowRight");
		await expect.poll(() => text(page, "#answer")).toBe(before);
		await page.keyboard.press("e");
		await page
			.getByLabel("The answer, as it should be")
			.fill("What a person wrote.");
		await page.getByRole("button", { name: "Save" }).click();
		await expect.poll(() => decided(page)).toMatch(/^3 of 9/);

		await served.kill();
		await page.keyboard.press("k");
		await expect
			.poll(() => text(page, "#status"))
			.toMatch(/Start it again; nothing that was noted is lost/);
		expect(await decided(page)).toMatch(/^3 of 9/);

		const again = await serve("keys");
		const next = await visit(again.url);
		expect(await decided(next.page)).toMatch(
			/^3 of 9 decided · 1 kept · 1 edited · 1 dropped/,
		);
		await next.page.keyboard.press("u");
		await expect.poll(() => decided(next.page)).toMatch(/^2 of 9/);
		await expect.poll(() => text(next.page, "#answer")).toBe(before);
		await next.page.keyboard.press("e");
		await next.page.keyboard.press("Escape");
		await next.page.getByRole("button", { name: "Keep" }).click();
		await expect.poll(() => decided(next.page)).toMatch(/^3 of 9.*2 kept/);
		expect(await again.stop()).toBe(0);
		const set = await rows(join(out, "answers.jsonl"));
		expect(set).toHaveLength(total - 1);
		expect(set.filter((row) => row.by_hand === "keep")).toHaveLength(2);
		expect(set.map((row) => row.answer)).not.toContain(dropped);
		expect(set.some((row) => row.key === first)).toBe(true);
		expect([...troubles, ...next.troubles]).toEqual([
			expect.stringMatching(/ERR_CONNECTION_REFUSED/),
		]);
		expect([...foreign, ...next.foreign]).toEqual([]);
	});

	it("filters by kind, sandboxes pages, and rescues what the rules dropped", async () => {
		const served = await serve("kinds");
		const { page, troubles } = await visit(served.url);
		await page.getByRole("radio", { name: "website" }).check();
		await expect.poll(() => text(page, "#place")).toBe("1 of 3");
		const frame = page.frameLocator("#frame");
		await expect
			.poll(() => frame.locator("h1").textContent())
			.toMatch(/cat|coffee|rocket/);
		expect(
			await frame.locator("h1").evaluate((h1) => getComputedStyle(h1).color),
		).toBe("rgb(10, 107, 85)");
		// Its script has not run.
		expect(await frame.locator("title").textContent()).toBe("Words");
		await page.getByRole("combobox", { name: "Show" }).selectOption("faulty");
		await page.getByRole("radio", { name: "All" }).check();
		await expect
			.poll(() => text(page, "#faults"))
			.toMatch(/apology: "I'm sorry/);
		expect(await text(page, "#place")).toBe("1 of 3");
		await page.locator("body").press("k");
		await expect.poll(() => decided(page)).toMatch(/^1 of 10.*1 kept/);
		expect(await served.stop()).toBe(0);
		const set = await rows(join(work, "kinds", "answers.jsonl"));
		const rescued = set.find((row) => row.by_hand === "keep");
		expect(rescued.kind).toBe("merged");
		expect(rescued.filters).toContain("apology");
		expect(troubles).toEqual([]);
	});

	it("reads well: names, contrast and width, on a phone and a desk, light and dark", async () => {
		const served = await serve("looks");
		for (const colorScheme of ["light", "dark"] as const)
			for (const viewport of [
				{ width: 1280, height: 860 },
				{ width: 360, height: 740 },
			]) {
				const { page, troubles } = await visit(served.url, {
					viewport,
					colorScheme,
				});
				const shot = (name: string) =>
					process.env.SCREENSHOTS &&
					page.screenshot({
						path: `${process.env.SCREENSHOTS}/${name}-${colorScheme}-${viewport.width}.png`,
					});
				expect(await audit(page)).toEqual([]);
				await page.locator("summary").click();
				await page.waitForFunction(
					() => document.querySelector("img")?.complete,
				);
				await shot("target");
				await page.keyboard.press("e");
				expect(await audit(page)).toEqual([]);
				expect(
					await page.evaluate(() => document.activeElement?.id ?? ""),
				).toBe("edited");
				await shot("editing");
				await page.keyboard.press("Escape");
				expect(
					await page.evaluate(() => document.activeElement?.id ?? ""),
				).toBe("edit");
				await page.keyboard.press("?");
				expect(await audit(page)).toEqual([]);
				await shot("help");
				await page.keyboard.press("Escape");
				await page
					.getByRole("combobox", { name: "Show" })
					.selectOption("faulty");
				await page.waitForSelector("#faults:not([hidden])");
				expect(await audit(page)).toEqual([]);
				await shot("dropped");
				await page.getByRole("combobox", { name: "Show" }).selectOption("open");
				await page.getByRole("radio", { name: "website" }).check();
				await page.waitForSelector("#preview:not([hidden])");
				expect(await audit(page)).toEqual([]);
				await shot("website");
				// By Tab alone, everything that can be done is reached, in order.
				await page.locator(".skip").focus();
				const reached = new Set<string>();
				for (let n = 0; n < 24; n++) {
					await page.keyboard.press("Tab");
					reached.add(
						await page.evaluate(() => document.activeElement?.id ?? ""),
					);
				}
				for (const id of ["show", "keep", "edit", "drop"])
					expect(reached).toContain(id);
				await page
					.getByRole("combobox", { name: "Show" })
					.selectOption("decided");
				await page.waitForSelector("#nothing:not([hidden])");
				expect(await audit(page)).toEqual([]);
				await shot("nothing");
				expect(troubles).toEqual([]);
				await page.context().close();
			}
		expect(await served.stop()).toBe(0);
	});
});
