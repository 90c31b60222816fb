import { describe, expect, it } from "vitest";
import { newAccount } from "../support/account.ts";
import { edge } from "../support/edge.ts";

const at = (path: string, init?: RequestInit) =>
	edge.fetch(`http://edge.test${path}`, init);

describe("a path with repeated slashes", () => {
	it.each([
		["GET", "/v1/models/"],
		["GET", "/v1//models"],
		["GET", "//v1/models"],
		["GET", "//v1///models//"],
		["GET", "/v1/models/nano/"],
		["GET", "/healthz/"],
		["GET", "/openapi.json/"],
		["HEAD", "/v1/models/"],
	])("finds its route: %s %s", async (method, path) => {
		const answer = await at(path, { method });
		expect(answer.status).toBe(200);
		await answer.body?.cancel();
	});

	it("finds its route, with a body and with a query", async () => {
		const { key } = await newAccount();
		const headers = { Authorization: `Bearer ${key}` };
		const made = await at("/v1/keys/", {
			method: "POST",
			headers: { ...headers, "Content-Type": "application/json" },
			body: JSON.stringify({ name: "ci" }),
		});
		expect(made.status).toBe(201);
		expect(await made.json()).toMatchObject({ name: "ci" });
		const listed = await at("/v1/jobs/?limit=1", { headers });
		expect(await listed.json()).toEqual({ data: [], next_cursor: null });
		const wrong = await at("/v1//chat/completions/", {
			method: "POST",
			headers: { ...headers, "Content-Type": "application/json" },
			body: "{",
		});
		// In OpenAI's shape, which the callers of that route read.
		expect(await wrong.json()).toMatchObject({
			error: { code: "invalid_json" },
		});
	});

	it("gets the allowed methods of its route", async () => {
		const answer = await at("/v1/models/", { method: "DELETE" });
		expect([answer.status, answer.headers.get("Allow")]).toEqual([405, "GET"]);
		await answer.body?.cancel();
	});

	it("of no route is still not found", async () => {
		for (const path of ["/v1/model/", "/v1/models%2F", "/v1/%2Fmodels", "/v1"])
			expect([path, (await at(path)).status]).toEqual([path, 404]);
	});
});
