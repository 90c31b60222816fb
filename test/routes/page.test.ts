import { describe, expect, it } from "vitest";
import { edge } from "../support/edge.ts";

const get = (path: string, headers: Record<string, string> = {}) =>
	edge.fetch(`http://edge.test${path}`, { headers, redirect: "manual" });

/** The policy of a response, as directive -> sources. */
const policyOf = (response: Response): Record<string, string> =>
	Object.fromEntries(
		(response.headers.get("Content-Security-Policy") ?? "")
			.split("; ")
			.map((directive) => {
				const [name = "", ...sources] = directive.split(" ");
				return [name, sources.join(" ")];
			}),
	);

describe("the playground's page", () => {
	it("may run its own scripts, reach this API and the image store, and nothing else", async () => {
		const response = await get("/");
		expect(response.status).toBe(200);
		expect(response.headers.get("Content-Type")).toBe(
			"text/html; charset=utf-8",
		);
		expect(policyOf(response)).toEqual({
			"default-src": "'none'",
			"script-src": "'self'",
			"style-src": "'self'",
			"img-src": "'self' blob: data:",
			"connect-src": "'self' http://s3.test",
			"frame-src": "'self'",
			"base-uri": "'none'",
			"form-action": "'none'",
			"frame-ancestors": "'none'",
		});
	});

	it("holds no inline script, style or handler that the policy would refuse", async () => {
		const html = await (await get("/")).text();
		expect(html).toContain('<script type="module" src="/playground/app.js">');
		expect(html).not.toMatch(/<script(?![^>]*\bsrc=)/);
		expect(html).not.toMatch(/<style|\sstyle=|\son\w+=/);
	});

	it("shows a website answer in a frame that is sandboxed and reaches no network", async () => {
		const response = await get("/playground/preview");
		const policy = policyOf(response);
		expect(policy.sandbox).toBe("allow-scripts");
		expect(policy).toMatchObject({
			"default-src": "'none'",
			"script-src": "'self'",
			"frame-ancestors": "'self'",
		});
		expect(policy).not.toHaveProperty("connect-src");
		await response.body?.cancel();
	});

	it("is served with headers that keep browsers from guessing, telling and asking", async () => {
		const html = await (await get("/")).text();
		const styles = html.matchAll(/<link rel="stylesheet" href="([^"]+)">/g);
		for (const path of [
			"/",
			"/playground/preview",
			"/playground/app.js",
			...Array.from(styles, ([, href]) => href as string),
			"/playground/samples/cat.jpg",
		]) {
			const response = await get(path);
			expect([path, response.status]).toEqual([path, 200]);
			expect(Object.fromEntries(response.headers)).toMatchObject({
				"x-content-type-options": "nosniff",
				"referrer-policy": "no-referrer",
				"permissions-policy": expect.stringContaining("camera=()"),
				"content-security-policy":
					expect.stringContaining("default-src 'none'"),
				"x-request-id": expect.stringMatching(/^req_/),
			});
			await response.body?.cancel();
		}
	});

	it("is not sent again to a browser that has it", async () => {
		const first = await get("/playground/app.js");
		await first.body?.cancel();
		const etag = first.headers.get("ETag") ?? "";
		const second = await get("/playground/app.js", { "If-None-Match": etag });
		expect([etag === "", second.status]).toEqual([false, 304]);
	});

	it.each([
		"/playground/nothing.js",
		"/playground/index.html",
		"/playground/..%2F..%2Froutes/page.ts",
		"/playground//edge.test/app.js",
		"/nothing",
	])("answers %s with problem details", async (path) => {
		const response = await get(path);
		expect(response.status).toBe(404);
		expect(await response.json()).toMatchObject({ code: "not_found" });
	});
});
