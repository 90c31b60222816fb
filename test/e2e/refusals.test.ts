/** A refused body is answered so that the caller can read why, whatever the caller is. */
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Deployment, deploy } from "./deployment.ts";
import { SENDERS, type Sent } from "./senders.ts";

const TRIES = 50;
const MB = 1024 * 1024;

let stack: Deployment;
beforeAll(async () => {
	stack = await deploy({ LIMIT_REQUESTS_PER_MINUTE: "1000000" });
});
afterAll(() => stack?.stop());

interface Refusal {
	what: string;
	path: string;
	type: string;
	bytes: number;
	/** Whether the key is good. */
	known?: boolean;
	answer: [number, string];
}

const JSON_TYPE = "application/json";
const FORM = "multipart/form-data; boundary=x";
const TOO_LARGE: Refusal["answer"] = [413, "body_too_large"];
const REFUSALS: Refusal[] = [
	{
		what: "a photo of 8 MB",
		path: "/uploads",
		type: "image/jpeg",
		bytes: 8 * MB,
		answer: TOO_LARGE,
	},
	{
		what: "a photo of 20 MB",
		path: "/uploads",
		type: "image/jpeg",
		bytes: 20 * MB,
		answer: TOO_LARGE,
	},
	{
		what: "a form of 8 MB",
		path: "/files",
		type: FORM,
		bytes: 8 * MB,
		answer: TOO_LARGE,
	},
	{
		what: "a chat of 25 MB",
		path: "/chat/completions",
		type: JSON_TYPE,
		bytes: 25 * MB,
		answer: TOO_LARGE,
	},
	{
		what: "a webhook of 4 MB",
		path: "/webhooks",
		type: JSON_TYPE,
		bytes: 4 * MB,
		answer: TOO_LARGE,
	},
	{
		what: "another type",
		path: "/jobs",
		type: "text/plain",
		bytes: 4 * MB,
		answer: [415, "unsupported_media_type"],
	},
	{
		what: "no key of ours",
		path: "/jobs",
		type: JSON_TYPE,
		bytes: 8 * MB,
		known: false,
		answer: [401, "invalid_key"],
	},
	{
		what: "a path that leads nowhere",
		path: "/job",
		type: JSON_TYPE,
		bytes: 4 * MB,
		answer: [404, "not_found"],
	},
	{
		what: "a method that the path has not",
		path: "/models",
		type: JSON_TYPE,
		bytes: 4 * MB,
		answer: [405, "method_not_allowed"],
	},
];

/** What there is to read of an answer. */
function told(text: string): [number, string] | string {
	const [, status, body = ""] = /^(\d{3}) (.*)$/s.exec(text) ?? [];
	try {
		const { code, error } = JSON.parse(body);
		return [Number(status), code ?? error.code];
	} catch {
		return text.slice(0, 200);
	}
}

describe.each(Object.entries(SENDERS))("%s", (name, send) => {
	test.each(REFUSALS)(
		`reads why it was refused, ${TRIES} times out of ${TRIES}: $what`,
		async ({ path, type, bytes, known = true, answer }) => {
			const { url, key } = stack;
			const sent: Sent = {
				method: "POST",
				url: `${url}/v1${path}`,
				headers: {
					"Content-Type": type,
					Authorization: `Bearer ${known ? key : "mg_live_none"}`,
				},
				bytes,
				chunked: false,
			};
			const ways = [false, true].map((chunked) => ({ ...sent, chunked }));
			for (const way of ways) {
				const seen = await send(way, TRIES / ways.length);
				expect(
					new Set(seen.map((text) => JSON.stringify(told(text)))),
					`${name}, ${way.chunked ? "in chunks" : "with its length"}`,
				).toEqual(new Set([JSON.stringify(answer)]));
			}
		},
	);
});

/** What the edge has logged so far, line by line. */
const lines = async () => (await stack.log()).split("\n").filter(Boolean);

/** Sends these bytes as they are, and hangs up, or ends its half. @returns what came */
function exchange(
	url: string,
	text: string,
	how: "hang up" | "end" = "end",
): Promise<string> {
	const { hostname, port } = new URL(url);
	const wire = connect(Number(port), hostname);
	let seen = "";
	wire.setEncoding("utf8").on("data", (data) => {
		seen += data;
	});
	wire.write(text, () => (how === "end" ? wire.end() : wire.destroy()));
	return new Promise((resolve, reject) => {
		wire.on("error", reject);
		wire.on("close", () => resolve(seen));
	});
}

const post = (path: string, type: string, more: string): string =>
	[
		`POST /v1${path} HTTP/1.1`,
		"Host: edge",
		`Authorization: Bearer ${stack.key}`,
		`Content-Type: ${type}`,
		"Connection: close",
		more,
	].join("\r\n");

describe("a caller that leaves in the middle of a body", () => {
	const HALVES = [
		["/uploads", "image/jpeg", "Content-Length: 1000\r\n\r\nhalf"],
		["/jobs", JSON_TYPE, 'Content-Length: 1000\r\n\r\n{"prompt":'],
		["/jobs", JSON_TYPE, 'Transfer-Encoding: chunked\r\n\r\n5\r\n{"pro\r\n'],
		["/chat/completions", JSON_TYPE, "Content-Length: 9\r\n\r\n{"],
		["/files", FORM, "Content-Length: 1000\r\n\r\n--x\r\n"],
		["/keys", JSON_TYPE, "Transfer-Encoding: chunked\r\n\r\nzz\r\n{"],
	] as const;

	test.each(HALVES)(
		"reads that the body broke off, if it still reads: %s %s",
		async (path, type, rest) => {
			const answer = await exchange(stack.url, post(path, type, rest));
			expect(answer).toMatch(/^HTTP\/1\.1 400 /);
			expect(answer).toContain('"code":"body_incomplete"');
		},
	);

	test.each(HALVES)(
		"is no error of ours in the log: %s %s",
		async (path, type, rest) => {
			const from = (await lines()).length;
			await exchange(stack.url, post(path, type, rest), "hang up");
			const requests = async () =>
				(await lines())
					.slice(from)
					.map((line) => JSON.parse(line))
					.filter(({ event }) => event === "request");
			await expect.poll(requests).toHaveLength(1);
			expect((await requests())[0]).toMatchObject({
				status: 400,
				route: `/v1${path}`,
			});
			expect((await lines()).slice(from).join("\n")).not.toContain(
				'"event":"error"',
			);
		},
	);
});

describe("a request for no path at all", () => {
	test.each(["GET", "POST", "OPTIONS"])(
		"is answered by us: %s *",
		async (method) => {
			const answer = await exchange(
				stack.url,
				`${method} * HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n`,
			);
			expect(answer).toMatch(/^HTTP\/1\.1 404 /);
			expect(answer).toContain('"code":"not_found"');
		},
	);
});
