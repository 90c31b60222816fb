/**
 * The bucket's client: what it sends and signs, and how long and how often it tries. Real stores
 * are test/e2e's part.
 */
import { createHash, createHmac } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../../src/errors.ts";
import * as s3 from "../../src/images/s3.ts";

const SECRET = "the-secret+of/the=store";
const configured = (endpoint = "http://s3.test") => ({
	S3_ENDPOINT: endpoint,
	S3_REGION: "eu-central-1",
	S3_BUCKET: "pictures",
	S3_ACCESS_KEY_ID: "access/key+id",
	S3_SECRET_ACCESS_KEY: SECRET,
});
const KEY = "images/account/img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T";
const BYTES = new Uint8Array(new TextEncoder().encode("a photo"));
const OBJECT = {
	bytes: BYTES,
	contentType: "image/jpeg",
	sha256: createHash("sha256").update(BYTES).digest("hex"),
};

type Answer = (request: Request) => Response | Promise<Response>;
/** What the store answers, one after another; the last one again and again. */
let answers: Answer[];
let asked: Request[];
let logged: string[];
beforeEach(() => {
	[answers, asked, logged] = [[], [], []];
	vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
		const request = new Request(input as RequestInfo, init as RequestInit);
		asked.push(request);
		const answer = answers.length > 1 ? answers.shift() : answers[0];
		return (answer as Answer)(request);
	});
	for (const way of ["log", "info", "warn", "error"] as const)
		vi.spyOn(console, way).mockImplementation((line) => logged.push(line));
	vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
	vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
		const controller = new AbortController();
		setTimeout(() => controller.abort(), ms);
		return controller.signal;
	});
});
afterEach(() => {
	vi.useRealTimers();
	vi.restoreAllMocks();
});

const ok: Answer = () => new Response("stored");
const refused: Answer = () => {
	throw new Error("Network connection lost.");
};
const hung: Answer = ({ signal }) =>
	new Promise((_, reject) => {
		signal.addEventListener("abort", () => reject(signal.reason));
	});
/** An error as S3 words it. */
const error =
	(status: number, code: string, headers = {}): Answer =>
	() =>
		new Response(
			'<?xml version="1.0" encoding="UTF-8"?>' +
				`<Error><Code>${code}</Code><Message>Of ${SECRET}</Message>` +
				"<RequestId>1</RequestId></Error>",
			{ status, headers: { "Content-Type": "application/xml", ...headers } },
		);

type Outcome = { after: number } & (
	| { value: unknown }
	| { failure: ApiError["failure"] }
);
/** What comes of a call, and after how many ms of the tests' clock. */
async function outcome(call: Promise<unknown>): Promise<Outcome> {
	let found: Outcome | undefined;
	let after = 0;
	const settled = call.then(
		(value) => {
			found = { after, value };
		},
		(thrown) => {
			if (!(thrown instanceof ApiError)) throw thrown;
			found = { after, failure: thrown.failure };
		},
	);
	for (; !found && after <= 60_000; after += 100)
		await vi.advanceTimersByTimeAsync(100);
	await settled;
	return found as unknown as Outcome;
}
const UNAVAILABLE = { failure: { code: "storage_unavailable" } };
const CALLS = [
	["put", () => s3.put(configured(), KEY, OBJECT)],
	["get", () => s3.get(configured(), KEY, 100)],
	["remove", () => s3.remove(configured(), KEY)],
] as const;

/** The signature of a request, computed as AWS documents it, from what arrives at a store. */
function signature(method: string, url: URL, headers: Headers) {
	const { pathname, searchParams } = url;
	const fields = Object.fromEntries(
		[...(headers.get("Authorization") ?? "").matchAll(/(\w+)=([^, ]+)/g)].map(
			([, name, value]) => [name, value],
		),
	);
	const of = (name: string) =>
		fields[name] ?? searchParams.get(`X-Amz-${name}`) ?? "";
	const date = headers.get("X-Amz-Date") ?? of("Date");
	const [, ...scope] = of("Credential").match(
		/^access\/key\+id\/(\d{8})\/([^/]+)\/(s3)\/(aws4_request)$/,
	) as string[];
	const encoded = (text: string) =>
		encodeURIComponent(text).replace(
			/[!'()*]/g,
			(c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
		);
	const names = of("SignedHeaders");
	const canonical = [
		method,
		pathname,
		[...searchParams]
			.filter(([name]) => name !== "X-Amz-Signature")
			.map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
			.sort()
			.join("&"),
		...names
			.split(";")
			.map(
				(name: string) =>
					`${name}:${name === "host" ? url.host : headers.get(name)}`,
			),
		"",
		names,
		headers.get("X-Amz-Content-Sha256") ?? "UNSIGNED-PAYLOAD",
	].join("\n");
	const hash = createHash("sha256").update(canonical).digest("hex");
	const text = ["AWS4-HMAC-SHA256", date, scope.join("/"), hash].join("\n");
	let key: string | Uint8Array = `AWS4${SECRET}`;
	for (const part of scope)
		key = createHmac("sha256", key).update(part).digest();
	const expected = createHmac("sha256", key).update(text).digest("hex");
	return { expected, found: of("Signature"), names: names.split(";"), scope };
}

describe.each([
	["http://s3.test", "http://s3.test"],
	["https://s3.test/", "https://s3.test"],
	["http://127.0.0.1:8787/cdn-cgi/local/r2/s3", null],
	["https://s3.test:9000/a/b//", "https://s3.test:9000/a/b"],
])("at %s", (endpoint, base) => {
	const address = `${base ?? endpoint}/pictures/${KEY}`;

	it("an object is put, read and removed by requests with their signature in headers", async () => {
		const config = configured(endpoint);
		answers = [ok];
		await s3.put(config, KEY, OBJECT);
		expect(await s3.get(config, KEY, 100)).toEqual(
			new TextEncoder().encode("stored"),
		);
		answers = [() => new Response(null, { status: 204 })];
		await s3.remove(config, KEY);
		expect(asked.map(({ method }) => method)).toEqual(["PUT", "GET", "DELETE"]);
		for (const { method, url, headers, redirect } of asked) {
			expect(url.split("?")[0]).toBe(address);
			expect(redirect).toBe("manual");
			const signed = signature(method, new URL(url), headers);
			expect(signed.found).toBe(signed.expected);
			expect(signed.scope[1]).toBe("eu-central-1");
			expect(signed.names).toContain("x-amz-content-sha256");
		}
		const [put] = asked as [Request];
		expect(put.headers.get("Content-Type")).toBe("image/jpeg");
		expect(put.headers.get("X-Amz-Content-Sha256")).toBe(OBJECT.sha256);
		expect(new Uint8Array(await put.arrayBuffer())).toEqual(BYTES);
	});

	it("a presigned PUT signs type, length and sha256, and nothing else", async () => {
		const { url, headers } = await s3.presignPut(
			configured(endpoint),
			KEY,
			{ ...OBJECT, bytes: BYTES.length },
			840,
		);
		expect(headers).toEqual({
			"Content-Type": "image/jpeg",
			"Content-Length": "7",
			"x-amz-checksum-sha256": Buffer.from(OBJECT.sha256, "hex").toString(
				"base64",
			),
		});
		expect(url.split("?")[0]).toBe(address);
		const signed = signature("PUT", new URL(url), new Headers(headers));
		expect(signed.found).toBe(signed.expected);
		expect(signed.names).toEqual([
			"content-length",
			"content-type",
			"host",
			"x-amz-checksum-sha256",
		]);
		expect(new URL(url).searchParams.get("X-Amz-Expires")).toBe("840");
		expect(decodeURIComponent(url)).not.toContain(SECRET);
	});

	it("a presigned GET needs no header and is good for 15 minutes", async () => {
		const url = await s3.presignGet(configured(endpoint), KEY);
		expect(url.split("?")[0]).toBe(address);
		const signed = signature("GET", new URL(url), new Headers());
		expect(signed.found).toBe(signed.expected);
		expect(signed.names).toEqual(["host"]);
		expect(new URL(url).searchParams.get("X-Amz-Expires")).toBe("900");
	});
});

describe.each(CALLS)("%s, of a store that", (name, call) => {
	it("hangs: two tries of 10 s are all", async () => {
		answers = [hung];
		const found = await outcome(call());
		expect(found).toMatchObject(UNAVAILABLE);
		expect(found.after).toBeGreaterThan(19_000);
		expect(found.after).toBeLessThanOrEqual(20_000);
		expect(asked.length).toBeLessThanOrEqual(3);
		for (const { signal } of asked) expect(signal.aborted).toBe(true);
	});

	it("hangs once, is asked again", async () => {
		answers = [hung, ok];
		const found = await outcome(call());
		expect(found).toHaveProperty("value");
		expect(found.after).toBeGreaterThanOrEqual(10_000);
		expect(found.after).toBeLessThan(11_000);
		expect(asked.map(({ signal }) => signal.aborted)).toEqual([true, false]);
	});

	it("refuses connections: three tries", async () => {
		answers = [refused];
		expect(await outcome(call())).toMatchObject(UNAVAILABLE);
		expect(asked).toHaveLength(3);
		[answers, asked] = [[refused, refused, ok], []];
		expect(await outcome(call())).toHaveProperty("value");
		expect(asked).toHaveLength(3);
	});

	it.each([
		["500", error(500, "InternalError")],
		["503 SlowDown", error(503, "SlowDown")],
		["a proxy's 502", () => new Response("<html>no", { status: 502 })],
		["an empty 503", () => new Response(null, { status: 503 })],
	])("answers %s: three tries within 4 s", async (_, answer) => {
		answers = [answer];
		const found = await outcome(call());
		expect(found).toMatchObject(UNAVAILABLE);
		expect(found.after).toBeLessThan(4_000);
		expect(asked).toHaveLength(3);
		[answers, asked] = [[answer, answer, ok], []];
		expect(await outcome(call())).toHaveProperty("value");
		expect(asked).toHaveLength(3);
	});

	it.each([
		["another region's store", error(400, "AuthorizationHeaderMalformed")],
		["a wrong key", error(403, "SignatureDoesNotMatch")],
		[
			"a redirect",
			error(301, "PermanentRedirect", { Location: "http://elsewhere.test/" }),
		],
	])("is %s: one try", async (_, answer) => {
		answers = [answer];
		expect(await outcome(call())).toMatchObject(UNAVAILABLE);
		expect(asked).toHaveLength(1);
	});

	it("names its errors: operators read the name, and nobody what else is in them", async () => {
		answers = [error(403, "AccessDenied")];
		await outcome(call());
		const method = { put: "PUT", get: "GET", remove: "DELETE" }[name];
		expect(logged.map((line) => JSON.parse(line))).toMatchObject([
			{ event: "storage_failed", method, cause: "403 AccessDenied" },
		]);
		answers = [refused];
		await outcome(call());
		expect(logged.at(-1)).toContain("Network connection lost.");
		for (const secret of [SECRET, "access/key", KEY])
			expect(logged.join()).not.toContain(secret);
	});

	it("stops in the middle of an error: 20 s are all", async () => {
		answers = [
			({ signal }) => new Response(endless(signal, 1), { status: 500 }),
		];
		const found = await outcome(call());
		expect(found).toMatchObject(UNAVAILABLE);
		expect(found.after).toBeLessThanOrEqual(20_000);
		expect(logged.map((line) => JSON.parse(line).event)).toEqual([
			"storage_failed",
		]);
	});
});

/** Chunks of 10 bytes, then nothing until the signal. */
const endless = (signal: AbortSignal, chunks: number) =>
	new ReadableStream({
		start(controller) {
			for (let n = 0; n < chunks; n++) controller.enqueue(new Uint8Array(10));
			signal.addEventListener("abort", () => controller.error(signal.reason));
		},
	});

describe("an object", () => {
	it("that is not there is null, and is removed", async () => {
		const none = [
			error(404, "NoSuchKey"),
			() => new Response(null, { status: 404 }),
		];
		for (const answer of none) {
			answers = [answer];
			expect(await s3.get(configured(), KEY, 100)).toBeNull();
			await s3.remove(configured(), KEY);
		}
		expect([asked.length, logged]).toEqual([4, []]);
	});

	it("that is over the limit is not read on, whether it says its length or not", async () => {
		const claimed = new Response("photo", {
			headers: { "Content-Length": "101" },
		});
		answers = [() => claimed];
		expect(await s3.get(configured(), KEY, 100)).toBe("too_large");
		let cancelled = false;
		const body = new ReadableStream({
			pull: (controller) => controller.enqueue(new Uint8Array(40)),
			cancel: () => {
				cancelled = true;
			},
		});
		answers = [() => new Response(body)];
		expect(await s3.get(configured(), KEY, 100)).toBe("too_large");
		expect(cancelled).toBe(true);
	});

	it("that stops coming is given up after 20 s in all", async () => {
		answers = [({ signal }) => new Response(endless(signal, 2))];
		const found = await outcome(s3.get(configured(), KEY, 100));
		expect(found).toMatchObject(UNAVAILABLE);
		expect(found.after).toBeGreaterThan(19_000);
		expect(found.after).toBeLessThanOrEqual(20_000);
		expect(asked).toHaveLength(1);
	});
});
