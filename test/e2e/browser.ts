/** Chromium, as every file that looks at pages starts it. */
import { type Browser, chromium } from "playwright-core";
import { findChromium } from "../../scripts/setup/chromium.mjs";

export async function openBrowser(): Promise<Browser> {
	const executablePath = findChromium();
	if (!executablePath)
		throw new Error("There is no Chromium; CHROMIUM=/path names one.");
	return chromium.launch({ executablePath, args: ["--no-sandbox"] });
}
