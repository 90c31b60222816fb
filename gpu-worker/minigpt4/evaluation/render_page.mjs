// Renders the HTML on standard input in Chromium and tells in JSON what a reader would see.
//   node render_page.mjs /path/to/chromium < page.html
// The page has no network: whatever it asks for is refused.
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const browser = await chromium.launch({
	executablePath: process.argv[2],
	args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
});
try {
	const context = await browser.newContext({ viewport: { width: 800, height: 600 } });
	await context.route("**/*", (route) => route.abort());
	const page = await context.newPage();
	const errors = [];
	page.on("pageerror", (error) => errors.push(String(error)));
	await page.setContent(readFileSync(0, "utf8"), { waitUntil: "load", timeout: 15_000 });
	const seen = await page.evaluate(() => ({
		title: document.title,
		text: document.body.innerText.trim(),
		height: document.body.getBoundingClientRect().height,
		buttons: document.querySelectorAll("button, a, input[type=submit], input[type=button]").length,
	}));
	process.stdout.write(JSON.stringify({ ...seen, errors }));
} finally {
	await browser.close();
}
