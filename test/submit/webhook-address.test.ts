import { describe, expect, it } from "vitest";
import type { ApiError } from "../../src/errors.ts";
import { webhookUrl } from "../../src/submit/webhook-address.ts";
import { newAccount } from "../support/account.ts";
import { call, JOB_REQUEST, type Wire } from "../support/calls.ts";
import { edge } from "../support/edge.ts";

function refusal(url: string, allow: string[] = []): string {
	try {
		return `accepted: ${webhookUrl(url, "url", allow)}`;
	} catch (error) {
		const { failure } = error as ApiError;
		return failure.code === "url_refused" ? failure.detail : failure.code;
	}
}

const AT_HOME = [
	"http://localhost:3000/hooks",
	"https://localhost/hooks",
	"http://127.0.0.1:3000",
	"https://127.1",
	"http://[::1]:3000/",
	"http://receiver:8080",
	"https://nas.local",
	"http://10.0.0.7",
	"https://192.168.1.20:8443/hooks",
	"http://host.docker.internal:3000",
];

describe("a webhook at a host that is not public", () => {
	it.each(AT_HOME)("is refused with the ways to test there: %s", (url) => {
		const detail = refusal(url);
		expect(detail).toContain("`url` leads to a host that is not public");
		expect(detail).toContain("`minigpt4 webhooks listen --forward URL`");
		expect(detail).toContain("EGRESS_ALLOW");
		expect(detail).toContain("npm start -- --egress-allow HOST:PORT");
	});

	it("is refused alike for the account's webhook, a change, and a job's webhook", async () => {
		const account = await newAccount(10_000);
		const url = "http://localhost:3000/hooks";
		const headers = {
			Authorization: `Bearer ${account.key}`,
			"Content-Type": "application/json",
		};
		const send = (method: string, path: string, body: object) =>
			edge.fetch(`http://edge.test/v1/webhooks${path}`, {
				method,
				headers,
				body: JSON.stringify(body),
			});
		const made = await send("POST", "", { url: "https://example.com/hooks" });
		const { id } = await made.json<Wire>();
		for (const answer of [
			await send("POST", "", { url }),
			await send("PATCH", `/${id}`, { url }),
			await call(account, "", { body: { ...JOB_REQUEST, webhook: { url } } }),
		]) {
			const { code, detail } = await answer.json<Wire>();
			expect([answer.status, code]).toEqual([422, "url_refused"]);
			expect(detail).toContain("minigpt4 webhooks listen");
			expect(detail).toContain("EGRESS_ALLOW");
		}
	});

	it("is accepted where it is allowed, by host and port or by host alone", () => {
		const url = "http://localhost:3000/hooks";
		expect(refusal(url, ["localhost:3000"])).toBe(`accepted: ${url}`);
		expect(refusal(url, ["example", "LOCALHOST"])).toBe(`accepted: ${url}`);
		expect(refusal("https://10.0.0.7/", ["10.0.0.7"])).toBe(
			"accepted: https://10.0.0.7/",
		);
		expect(refusal(url, ["localhost:3001", "host", "ocalhost"])).not.toMatch(
			/^accepted/,
		);
	});
});

describe("a webhook elsewhere", () => {
	it.each([
		[
			"http://example.com/hooks",
			"`url` does not begin with `https:`. Send a URL that does.",
		],
		[
			"https://example.com:8443/hooks",
			"`url` does not use port 443. Send a URL that does.",
		],
		[
			"ftp://example.com",
			"`url` does not begin with `https:`. Send a URL that does.",
		],
		[
			"mailto:me@example.com",
			"`url` does not begin with `https:`. Send a URL that does.",
		],
		["hooks", "`url` is not an absolute URL. Send `https://…`."],
		[
			"http://user:secret@localhost:3000",
			"`url` holds credentials. Send a URL without them, and check the signature instead.",
		],
	])("is refused only for what is wrong with it: %s", (url, words) => {
		expect(refusal(url)).toBe(words);
	});
});
