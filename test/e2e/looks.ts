/** Pages of the edge as people have them: on a phone and on a desk, in the light and the dark. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import axe from "axe-core";
import type { Browser, Page } from "playwright-core";

export const DESKTOP = { width: 1280, height: 860 };
export const PHONE = { width: 390, height: 844 };

/** A page in a context of its own, and what its console complains of. */
export async function visit(
	browser: Browser,
	url: string,
	viewport = DESKTOP,
	colorScheme: "light" | "dark" = "light",
): Promise<{ page: Page; troubles: string[] }> {
	const context = await browser.newContext({ viewport, colorScheme });
	const page = await context.newPage();
	const troubles: string[] = [];
	page.on("console", (message) => {
		if (["error", "warning"].includes(message.type()))
			troubles.push(message.text());
	});
	page.on("pageerror", (error) => troubles.push(String(error)));
	await page.goto(url);
	return { page, troubles };
}

/** How many pixels the page is wider than its window. */
export const overflow = (page: Page): Promise<number> =>
	page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

/** What axe finds serious or critical. */
export async function seriousFindings(page: Page): Promise<string[]> {
	await page.evaluate(axe.source);
	const { violations } = await page.evaluate(() =>
		(globalThis as unknown as { axe: typeof axe }).axe.run(),
	);
	return violations
		.filter(({ impact }) => ["serious", "critical"].includes(impact ?? ""))
		.map(({ id }) => id);
}

/**
 * Pictures of the page as it is, in every look, for people to look at.
 * @param folder none are taken without one
 */
export async function pictures(
	page: Page,
	folder: string | undefined,
	name: string,
): Promise<void> {
	if (!folder) return;
	await mkdir(folder, { recursive: true });
	for (const [where, viewport] of Object.entries({ DESKTOP, PHONE })) {
		await page.setViewportSize(viewport);
		for (const colorScheme of ["light", "dark"] as const) {
			await page.emulateMedia({ colorScheme });
			const file = `${name}-${where.toLowerCase()}-${colorScheme}.png`;
			await page.screenshot({ path: join(folder, file), fullPage: true });
		}
	}
	await page.setViewportSize(DESKTOP);
	await page.emulateMedia({ colorScheme: "light" });
}
