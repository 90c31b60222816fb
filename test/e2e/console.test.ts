/**
 * The console in a real browser: a new person signs in at a real OpenID provider, makes a key, asks
 * about a photo, and sees what it cost.
 */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Provider from "oidc-provider";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { signInLink } from "../../scripts/development.mjs";
import { freePort } from "../../scripts/ports.mjs";
import { openBrowser } from "./browser.ts";
import { type Deployment, deploy } from "./deployment.ts";
import {
	DESKTOP,
	PHONE,
	pictures,
	seriousFindings,
	visit as visitIn,
} from "./looks.ts";
import { type Payments, startPayments, WEBHOOK_SECRET } from "./payments.ts";

const CLIENT = {
	client_id: "console",
	client_secret: "a secret of the console",
};
/** A folder that gets a picture of each step, for people to look at. */
const SCREENSHOTS = process.env.CONSOLE_SCREENSHOTS;

let stack: Deployment;
let folder: string;
let payments: Payments;
let hooks: Server;
/** The address of a receiver of webhooks. */
let receiver: string;
let provider: Server;
let browser: Browser;

beforeAll(async () => {
	const port = await freePort();
	const issuer = `http://127.0.0.1:${port}`;
	folder = await mkdtemp(join(tmpdir(), "minigpt4-console-"));
	payments = await startPayments(folder);
	hooks = createServer((_, response) => response.end());
	await once(hooks.listen(0, "127.0.0.1"), "listening");
	receiver = `http://127.0.0.1:${(hooks.address() as AddressInfo).port}`;
	stack = await deploy({
		EGRESS_ALLOW: new URL(receiver).host,
		OIDC: JSON.stringify({ issuer, ...CLIENT }),
		WELCOME_CREDIT: "50000",
		STRIPE: JSON.stringify({
			secret_key: "sk_test_123",
			webhook_secret: WEBHOOK_SECRET,
			api: payments.url,
		}),
	});
	payments.webhook = `${stack.url}/internal/stripe`;
	provider = new Provider(issuer, {
		clients: [
			{
				...CLIENT,
				redirect_uris: [`${stack.url}/console/callback`],
				response_types: ["code"],
				grant_types: ["authorization_code"],
			},
		],
		pkce: { required: () => true },
		cookies: { keys: ["of this test"] },
		claims: { openid: ["sub"], profile: ["name"], email: ["email"] },
		conformIdTokenClaims: false,
		features: { devInteractions: { enabled: true } },
		findAccount: (_, id) => ({
			accountId: id,
			claims: async () => ({ sub: id, name: `${id} Lovelace` }),
		}),
	}).listen(port);
	await once(provider, "listening");
	browser = await openBrowser();
});
afterAll(async () => {
	await browser?.close();
	provider?.close();
	provider?.closeAllConnections();
	await stack?.stop();
	hooks?.close();
	await payments?.stop();
	if (folder) await rm(folder, { recursive: true, force: true });
});
afterEach(async () => {
	for (const context of browser.contexts()) await context.close();
});

type Look = [viewport?: typeof DESKTOP, colorScheme?: "light" | "dark"];
const visit = (...look: Look) =>
	visitIn(browser, `${stack.url}/console`, ...look);

/** What a person does at the provider. */
async function signIn(page: Page, login: string): Promise<void> {
	await page.getByRole("button", { name: "Sign in" }).click();
	await page.locator('input[name="login"]').fill(login);
	await page.locator('input[name="password"]').fill("any");
	await page.locator('button[type="submit"]').click();
	await page.getByRole("button", { name: "Continue" }).click();
	await page.waitForURL(`${stack.url}/console`);
	await page.getByRole("heading", { name: "Balance" }).waitFor();
}

const picture = (page: Page, name: string) => pictures(page, SCREENSHOTS, name);

describe("the console", () => {
	it("leads a new person to a key, an answer, its price, and a new secret", async () => {
		const { page, troubles } = await visit();
		await page.getByRole("heading", { name: "Your account." }).waitFor();
		await picture(page, "signed-out");
		// The first call asks whether there is a session.
		expect(troubles.every((trouble) => trouble.includes("401"))).toBe(true);
		await signIn(page, "Ada");
		// The provider's own page asks for fonts that are elsewhere.
		troubles.length = 0;
		expect(await page.locator("#available").textContent()).toBe("0.05 USD");
		expect(await page.locator("#name").textContent()).toBe("Ada Lovelace");

		await page.getByLabel("Name").fill("my laptop");
		await page.getByRole("button", { name: "Create key" }).click();
		const key = page.locator("#made-key");
		await key.waitFor();
		const secret = await key.textContent();
		expect(secret).toMatch(/^mg_live_/);
		await picture(page, "key");

		const job = await fetch(`${stack.url}/v1/jobs`, {
			method: "POST",
			headers: {
				Authorization: `Bearer ${secret}`,
				"Content-Type": "application/json",
				Prefer: "wait=60",
			},
			body: JSON.stringify({ prompt: "Hello!", max_tokens: 8, temperature: 0 }),
		});
		const { price, price_parts } = await job.json();
		await page.reload();
		await page.getByRole("button", { name: /^Details of job/ }).click();
		await page.locator(".parts").waitFor();
		expect(await page.locator(".parts dt").count()).toBe(price_parts.length);
		const left = await page.locator("#available").textContent();
		expect(left).toBe(`${((50_000 - price) / 1e6).toString()} USD`);
		await picture(page, "jobs");

		await page.getByLabel("Add, USD").fill("12.50");
		await page.getByRole("button", { name: "Top up" }).click();
		await page.waitForURL(`${stack.url}/console`);
		await page.getByText("Thank you.").waitFor();
		const sum = `${((12_550_000 - price) / 1e6).toString()} USD`;
		await expect.poll(() => page.locator("#available").textContent()).toBe(sum);
		const ledger = page.locator("#ledger tr");
		await ledger.first().getByText("+12.50 USD").waitFor();
		expect(await ledger.nth(1).textContent()).toContain("paid");
		await page.locator("#usage tr").getByText("1 job").waitFor();
		expect(await page.locator("#usage-chart canvas").count()).toBe(1);
		await picture(page, "topped-up");

		await page
			.getByRole("button", { name: "New secret for my laptop" })
			.click();
		await page.waitForFunction((old) => {
			const shown = document.querySelector("#made-key")?.textContent;
			return shown && shown !== old;
		}, secret);
		page.on("dialog", (dialog) => dialog.accept());
		await page.getByRole("button", { name: "Revoke my laptop" }).click();
		await page
			.getByRole("button", { name: "Revoke my laptop" })
			.waitFor({ state: "detached" });
		const refused = await fetch(`${stack.url}/v1/account`, {
			headers: { Authorization: `Bearer ${secret}` },
		});
		expect(refused.status).toBe(401);
		expect(troubles).toEqual([]);

		await page.getByRole("button", { name: "Sign out" }).click();
		await page.getByRole("heading", { name: "Your account." }).waitFor();
	});

	it("charges a card that was kept by the rule that its owner sets", async () => {
		const { page, troubles } = await visit();
		await signIn(page, "Emmy");
		troubles.length = 0;
		await page.getByLabel("Add, USD").fill("3");
		await page.getByLabel("Keep the card").check();
		await page.getByRole("button", { name: "Top up" }).click();
		await page.waitForURL(`${stack.url}/console`);
		const rule = page.locator("#auto-top-up");
		await rule.waitFor();
		await rule.getByLabel("Below, USD").fill("4");
		await rule.getByLabel("Charge, USD").fill("5.50");
		await rule.getByLabel("A month at most").fill("6");
		await rule.getByRole("button", { name: "Save" }).click();
		await page.locator("#auto-top-up-said", { hasText: "5.50 USD" }).waitFor();
		const available = page.locator("#available");
		await expect
			.poll(async () => {
				await page.reload();
				await rule.waitFor();
				return available.textContent();
			})
			.toBe("8.55 USD");
		await page.getByText("The month's cap is reached.").waitFor();
		await picture(page, "auto-top-up");
		await rule.getByRole("button", { name: "Turn off" }).click();
		await page.getByText("Off. 5.50 USD charged this month.").waitFor();
		expect(troubles).toEqual([]);
	});

	it("prints a month's statement that adds up", async () => {
		const { page, troubles } = await visit();
		await signIn(page, "Mary");
		troubles.length = 0;
		await page.evaluate(() => {
			window.print = () => document.body.setAttribute("data-printed", "");
		});
		await page.getByRole("button", { name: "Print" }).click();
		await page.locator("body[data-printed]").waitFor();
		await page.emulateMedia({ media: "print" });
		const statement = page.locator("#statement");
		expect(await statement.isVisible()).toBe(true);
		expect(await page.locator("main").isVisible()).toBe(false);
		expect(await statement.locator("dd").allTextContents()).toEqual([
			"0.00 USD",
			"0.05 USD",
			"0.00 USD",
			"0.00 USD",
			"0.05 USD",
		]);
		expect(await statement.locator("h1").textContent()).toMatch(
			/^Statement, \w+ \d{4}$/,
		);
		await picture(page, "statement");
		expect(troubles).toEqual([]);
	});

	it("makes, tests and deletes webhooks, and shows what was delivered", async () => {
		const { page, troubles } = await visit();
		await signIn(page, "Lise");
		troubles.length = 0;
		const url = `${receiver}/hooks`;
		await page.getByLabel("Address").fill("ftp://receiver.invalid");
		await page.getByRole("button", { name: "Add webhook" }).click();
		await page.locator("#webhook-problem").waitFor();
		troubles.length = 0; // the browser notes the 400
		await page.getByLabel("Address").fill(url);
		await page.getByRole("button", { name: "Add webhook" }).click();
		await page.locator("#webhook-secret").waitFor();
		expect(await page.locator("#webhook-secret").textContent()).toMatch(
			/^whsec_/,
		);
		await page.getByRole("button", { name: `Test ${url}` }).click();
		await page.locator(".deliveries li").first().waitFor();
		expect(await page.locator(".deliveries li").first().textContent()).toMatch(
			/webhook\.test was delivered/,
		);
		await picture(page, "webhooks");
		await page.getByRole("button", { name: "I have it" }).click();
		page.on("dialog", (dialog) => dialog.accept());
		await page.getByRole("button", { name: `Delete ${url}` }).click();
		await page.locator("#no-webhooks").waitFor();
		expect(troubles).toEqual([]);
	});

	it("is entered by an operator's link: after a click, and once", async () => {
		const link = await signInLink(
			{ edge: stack.url, adminSecret: stack.secrets.adminSecret },
			stack.account,
		);
		const { page } = await visit();
		await page.goto("about:blank"); // another fragment alone would load nothing
		await page.goto(link);
		await page.getByRole("heading", { name: "Your account." }).waitFor();
		await page.getByRole("button", { name: "Sign in" }).click();
		await page.getByRole("heading", { name: "Balance" }).waitFor();
		expect(await page.locator("#name").textContent()).toBe("development");
		const second = await visit();
		await second.page.goto("about:blank");
		await second.page.goto(link);
		await second.page.getByRole("button", { name: "Sign in" }).click();
		await second.page.getByText("This link has been used").waitFor();
	});

	it("cannot be entered in a second browser with the first one's cookie", async () => {
		const { page } = await visit();
		await signIn(page, "Grace");
		const second = await visit();
		await second.page.context().addCookies(await page.context().cookies());
		await second.page.reload();
		await second.page.getByRole("heading", { name: "Your account." }).waitFor();
		await page.reload();
		await page.getByRole("heading", { name: "Balance" }).waitFor();
	});

	it.each([
		["a phone", PHONE, "light"],
		["a phone in the dark", PHONE, "dark"],
		["a desk in the dark", DESKTOP, "dark"],
	] as const)(
		"fits %s, and axe finds nothing serious",
		async (_, viewport, scheme) => {
			const { page } = await visit(viewport, scheme);
			await signIn(page, "Joan");
			const wide = await page.evaluate(
				() => document.documentElement.scrollWidth - innerWidth,
			);
			expect(wide).toBeLessThanOrEqual(0);
			expect(await seriousFindings(page)).toEqual([]);
		},
	);
});
