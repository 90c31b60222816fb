/** The docs in a real browser. */
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { openBrowser } from "./browser.ts";
import { type Deployment, deploy } from "./deployment.ts";

const PHONE = { width: 360, height: 740 };
const DESK = { width: 1280, height: 860 };

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

/** The page once it is drawn, what went wrong in its console, and whom it asked beside us. */
async function visit({
	viewport = DESK,
	colorScheme = "light" as "light" | "dark",
	block = "",
} = {}) {
	const context = await browser.newContext({ viewport, colorScheme });
	const page = await context.newPage();
	const troubles: string[] = [];
	const elsewhere: string[] = [];
	page.on("console", (message) => {
		if (["error", "warning"].includes(message.type()))
			troubles.push(message.text());
	});
	page.on("pageerror", (error) => troubles.push(String(error)));
	page.on("request", (request) => {
		const { protocol, origin } = new URL(request.url());
		if (protocol !== "data:" && origin !== stack.url)
			elsewhere.push(request.url());
	});
	if (block) await page.route(block, (route) => route.abort());
	await page.goto(`${stack.url}/docs`);
	await page.waitForLoadState("networkidle");
	return { page, troubles, elsewhere };
}

describe("the docs", () => {
	it("show the guides and every operation, ask nobody else, and keep to their policy", async () => {
		const { page, troubles, elsewhere } = await visit();
		await page.getByRole("heading", { name: "With curl" }).waitFor();
		const shown = await page.locator("body").textContent();
		for (const guide of ["SDK", "OpenAI", "command", "webhooks"])
			expect(shown).toMatch(new RegExp(`With .*${guide}`));
		const { tags, paths } = (await (
			await fetch(`${stack.url}/openapi.json`)
		).json()) as {
			tags: { name: string }[];
			paths: Record<
				string,
				Record<string, { summary: string; tags: string[] }>
			>;
		};
		const sidebar = page.locator("aside").first();
		for (const { name } of tags)
			await sidebar.getByText(name).first().waitFor();
		// One chapter as a reader opens it.
		await page.goto(`${stack.url}/docs#tag/jobs`);
		for (const operations of Object.values(paths))
			for (const { summary, tags } of Object.values(operations))
				if (tags[0] === "Jobs")
					await page.getByText(summary).first().waitFor({ state: "attached" });
		expect([troubles, elsewhere]).toEqual([[], []]);
	});

	it("name this deployment in the guides, and lead from one to another", async () => {
		const { page } = await visit();
		await page.getByText(`MINIGPT4_BASE_URL=${stack.url}`).first().waitFor();
		const link = page.getByRole("link", { name: "With the TypeScript SDK" });
		await link.first().click();
		const heading = page.getByRole("heading", {
			name: "With the TypeScript SDK",
		});
		await eventually(async () =>
			expect((await heading.boundingBox())?.y).toBeLessThan(DESK.height / 3),
		);
	});

	it.each([
		["a phone", PHONE, "light"],
		["a phone in the dark", PHONE, "dark"],
		["a desk in the dark", DESK, "dark"],
	] as const)("fit %s", async (_, viewport, colorScheme) => {
		const { page, troubles } = await visit({ viewport, colorScheme });
		await page.getByRole("heading", { name: "With curl" }).waitFor();
		expect(
			await page.evaluate(() => document.documentElement.scrollWidth),
		).toBe(viewport.width);
		const paper = await page.evaluate(
			() => getComputedStyle(document.body).backgroundColor,
		);
		expect(paper).toBe(
			colorScheme === "dark" ? "rgb(20, 19, 18)" : "rgb(246, 246, 244)",
		);
		expect(troubles).toEqual([]);
	});

	it("lead to the playground, and the playground to them", async () => {
		const { page } = await visit();
		await page.getByRole("link", { name: "Playground" }).click();
		await page.getByRole("heading", { name: "Ask a photo." }).waitFor();
		await page.getByRole("link", { name: "docs" }).click();
		await page.getByRole("heading", { name: "With curl" }).waitFor();
	});

	it("say what to do where the script is missing", async () => {
		const { page } = await visit({ block: "**/docs/reference.js" });
		const alert = page.getByRole("alert");
		await alert.waitFor();
		expect(await alert.textContent()).toMatch(/npm run setup.*\/openapi\.json/);
	});
});
