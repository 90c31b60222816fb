import { describe, expect, it } from "vitest";
import { edge } from "../support/edge.ts";

const get = (path: string) => edge.fetch(`http://edge.test${path}`);

describe("the docs", () => {
	it("run the scripts that we serve, and reach this API and nothing else", async () => {
		const response = await get("/docs");
		expect([response.status, response.headers.get("Content-Type")]).toEqual([
			200,
			"text/html; charset=utf-8",
		]);
		expect(
			response.headers.get("Content-Security-Policy")?.split("; "),
		).toEqual([
			"default-src 'none'",
			"base-uri 'none'",
			"form-action 'none'",
			"script-src 'self'",
			// Scalar's own, some without a nonce.
			"style-src 'self' 'unsafe-inline'",
			"img-src 'self' data:",
			"connect-src 'self'",
			"frame-ancestors 'none'",
		]);
		const html = await response.text();
		expect(html).not.toMatch(/<script(?![^>]*\bsrc="\/docs\/)/);
		expect(html).not.toMatch(/\bsrc="https?:|href="https?:/);
	});

	it.each(["curl", "sdk", "openai", "command", "keys", "webhook"])(
		"have the guide %s, as it is written",
		async (name) => {
			const response = await get(`/docs/guides/${name}`);
			expect(response.headers.get("Content-Type")).toContain("text/markdown");
			expect(await response.text()).toMatch(/^# With [\s\S]+```/);
		},
	);

	it("have Scalar's script, which set-up brings", async () => {
		const response = await get("/docs/reference.js");
		expect(response.status).toBe(200);
		expect(await response.text()).toContain("createApiReference");
	});

	it.each(["/docs/nothing.js", "/docs/guides/nothing", "/docs/..%2Fapp.js"])(
		"answer %s with problem details",
		async (path) => {
			const response = await get(path);
			expect(response.status).toBe(404);
			expect(await response.json()).toMatchObject({ code: "not_found" });
		},
	);
});
