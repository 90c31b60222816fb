/** The operators' page in a real browser: find an account, grant, suspend, read the audit log. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { openBrowser } from "./browser.ts";
import { type Deployment, deploy } from "./deployment.ts";
import {
	DESKTOP,
	PHONE,
	pictures,
	seriousFindings,
	visit as visitIn,
} from "./looks.ts";

/** A folder that gets a picture of each step, for people to look at. */
const SCREENSHOTS = process.env.OPERATORS_SCREENSHOTS;

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

type Look = [viewport?: typeof DESKTOP, colorScheme?: "light" | "dark"];
const visit = (...look: Look) =>
	visitIn(browser, `${stack.url}/operators`, ...look);

async function enter(page: Page): Promise<void> {
	await page.getByLabel("The admin secret").fill(stack.secrets.adminSecret);
	await page.getByRole("button", { name: "Enter" }).click();
	await page.getByRole("heading", { name: "Accounts" }).waitFor();
}

const account = async () => {
	const response = await fetch(`${stack.url}/v1/account`, {
		headers: { Authorization: `Bearer ${stack.key}` },
	});
	return [response.status, await response.json()] as const;
};

describe("the operators' page", () => {
	it("opens with the admin secret alone", async () => {
		const { page } = await visit();
		await page.getByLabel("The admin secret").fill("a guess");
		await page.getByRole("button", { name: "Enter" }).click();
		await page.getByText("This is not the admin secret.").waitFor();
		expect(await page.locator("#entered").isVisible()).toBe(false);
	});

	it("finds an account, grants it credit once, suspends it, and shows each act", async () => {
		const { page, troubles } = await visit();
		await enter(page);
		await page.getByLabel("Name, id or subject").fill(stack.account);
		await page.getByRole("button", { name: "Search" }).click();
		await page.getByRole("button", { name: "Open development" }).click();
		await page.getByRole("heading", { name: "development" }).waitFor();
		const [, before] = await account();

		for (let n = 0; n < 2; n++) {
			await page.getByLabel("Credit, USD").fill("2.50");
			await page.getByLabel("Reference, counted once").fill("invoice-117");
			await page.getByRole("button", { name: "Grant" }).click();
			await expect
				.poll(() => page.getByLabel("Credit, USD").inputValue())
				.toBe("");
		}
		const [, after] = await account();
		expect(after.balance.available - before.balance.available).toBe(2_500_000);

		page.on("dialog", (dialog) => dialog.accept());
		await page.getByRole("button", { name: "Suspend" }).click();
		await page.getByRole("button", { name: "Resume" }).waitFor();
		expect((await account())[0]).toBe(403);
		await page.getByRole("button", { name: "Resume" }).click();
		await page.getByRole("button", { name: "Suspend" }).waitFor();
		expect((await account())[0]).toBe(200);

		await page.getByRole("button", { name: "Link that signs in" }).click();
		await page.getByText("/console#link=").waitFor();
		await expect
			.poll(() => page.locator("#acts tr").first().textContent())
			.toContain("sign-in-links");
		const log = (await page.locator("#acts").textContent()) ?? "";
		for (const act of ["/credits", "invoice-117", "/suspend", "/resume"])
			expect(log).toContain(act);
		expect(troubles).toEqual([]);
		await pictures(page, SCREENSHOTS, "operators");
	});

	it.each([
		["a phone", PHONE, "light"],
		["a desk in the dark", DESKTOP, "dark"],
	] as const)(
		"fits %s, and axe finds nothing serious",
		async (_, viewport, scheme) => {
			const { page } = await visit(viewport, scheme);
			await enter(page);
			await page.getByRole("button", { name: "Open development" }).click();
			await page.getByRole("heading", { name: "development" }).waitFor();
			const wide = await page.evaluate(
				() => document.documentElement.scrollWidth - innerWidth,
			);
			expect(wide).toBeLessThanOrEqual(0);
			expect(await seriousFindings(page)).toEqual([]);
		},
	);
});
