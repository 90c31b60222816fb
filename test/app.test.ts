import { afterEach, describe, expect, it, vi } from "vitest";
import { newAccount } from "./support/account.ts";
import { edge } from "./support/edge.ts";

const at = (path: string, init?: RequestInit) =>
	edge.fetch(`http://api.test${path}`, init);

afterEach(() => {
	vi.restoreAllMocks();
});

describe("every response", () => {
	it.each(["/healthz", "/", "/openapi.json", "/v1/jobs", "/nowhere"])(
		"carries a request id: %s",
		async (path) => {
			const response = await at(path);
			await response.body?.cancel();
			expect(response.headers.get("X-Request-Id")).toMatch(
				/^req_[0-9A-Z]{26}$/,
			);
		},
	);

	it("that tells of a failure is a problem with a code, and quotes its request", async () => {
		const response = await at("/nowhere");
		expect(response.status).toBe(404);
		expect(response.headers.get("Content-Type")).toBe(
			"application/problem+json",
		);
		expect(await response.json()).toMatchObject({
			code: "not_found",
			status: 404,
			request_id: response.headers.get("X-Request-Id"),
		});
	});

	it("to a wrong method says which are right", async () => {
		const response = await at("/v1/jobs", { method: "PATCH" });
		expect(response.status).toBe(405);
		expect(response.headers.get("Allow")).toBe("GET, POST");
		expect(await response.json()).toMatchObject({ code: "method_not_allowed" });
	});
});

describe("the log", () => {
	it("has one line per request, with its id, and neither key nor query nor content", async () => {
		const lines: string[] = [];
		vi.spyOn(console, "log").mockImplementation((line) => {
			lines.push(String(line));
		});
		const { key } = await newAccount(5000);
		const response = await at("/v1/jobs?cursor=visible", {
			method: "POST",
			headers: {
				Authorization: `Bearer ${key}`,
				"Content-Type": "application/json",
			},
			body: JSON.stringify({ prompt: "a private question", max_tokens: 0 }),
		});
		expect(response.status).toBe(400);
		await response.body?.cancel();
		const requests = lines.filter((line) => line.includes('"request"'));
		expect(requests).toHaveLength(1);
		expect(JSON.parse(requests[0] as string)).toMatchObject({
			event: "request",
			request_id: response.headers.get("X-Request-Id"),
			route: "/v1/jobs",
			status: 400,
		});
		for (const secret of [key, "visible", "private question"])
			expect(lines.join()).not.toContain(secret);
	});
});
