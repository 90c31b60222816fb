import { createExecutionContext } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { app } from "../../src/app.ts";
import { bindings, newAccount } from "../support/account.ts";
import { create, PNG, refusal, type Wire } from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { fakeWorker } from "../support/jobs.ts";

const send = async (
	path: string,
	body: BodyInit,
	headers: Record<string, string> = { "Content-Type": "application/json" },
	method = "POST",
) => {
	const { key } = await newAccount(10_000);
	return edge.fetch(`http://edge.test/v1${path}`, {
		method,
		headers: { Authorization: `Bearer ${key}`, ...headers },
		body,
	});
};

/** Code and status, in either shape of errors. */
async function refused(answer: Response): Promise<[number, string]> {
	const { code, error } = await answer.json<Wire>();
	return [answer.status, code ?? error.code];
}

const FORM = "multipart/form-data; boundary=edge";
const ID = "01JD8Z6Q3V9Y4K2M7N5P8R1S3T";

/** Every route that reads a body, and the types that it takes. */
const ROUTES: [string, string, string][] = [
	["POST", "/jobs", "application/json"],
	["PUT", `/jobs/${ID}`, "application/json"],
	["POST", "/chat/completions", "application/json"],
	["POST", "/keys", "application/json"],
	["POST", "/webhooks", "application/json"],
	["PATCH", `/webhooks/wh_${ID}`, "application/json"],
	["POST", `/webhooks/wh_${ID}/redeliver`, "application/json"],
	["POST", "/uploads", "application/json"],
	["POST", "/uploads", "image/png"],
	["POST", "/files", FORM],
];

describe("a compressed body", () => {
	it.each(ROUTES)(
		"is 415, and the answer says what is taken: %s %s %s",
		async (method, path, type) => {
			for (const encoding of ["gzip", "br", "GZIP, identity"]) {
				const stream = new Blob(["{}"])
					.stream()
					.pipeThrough(new CompressionStream("gzip"));
				const body = await new Response(stream).arrayBuffer();
				const headers = { "Content-Type": type, "Content-Encoding": encoding };
				const answer = await send(path, body, headers, method);
				expect(answer.headers.get("Accept-Encoding")).toBe("identity");
				const text = await answer.clone().text();
				expect(text).toContain(encoding);
				expect(await refused(answer)).toEqual([415, "unsupported_encoding"]);
			}
		},
	);

	it("is one that says so: `identity` is none", async () => {
		const headers = {
			"Content-Type": "application/json",
			"Content-Encoding": "Identity",
		};
		const answer = await send("/keys", '{"name":"ci"}', headers);
		expect(answer.status).toBe(201);
		await answer.body?.cancel();
	});
});

describe("a body that breaks off", () => {
	const lines: string[] = [];
	afterEach(() => {
		vi.restoreAllMocks();
		lines.length = 0;
	});

	it.each(ROUTES)(
		"is the caller's, in the answer and in the log: %s %s %s",
		async (method, path, type) => {
			vi.spyOn(console, "log").mockImplementation((line) => {
				lines.push(String(line));
			});
			let pulls = 0;
			const body = new ReadableStream<Uint8Array>({
				pull(controller) {
					if (pulls++ === 0)
						controller.enqueue(new TextEncoder().encode('{"name":'));
					else controller.error(new Error("Network connection lost."));
				},
			});
			const { key } = await newAccount();
			const request = new Request(`http://edge.test/v1${path}`, {
				method,
				headers: { Authorization: `Bearer ${key}`, "Content-Type": type },
				body,
			});
			// Not through `edge`, which would make a whole body of it.
			const answer = await app.fetch(
				request,
				bindings,
				createExecutionContext(),
			);
			expect(await refused(answer)).toEqual([400, "body_incomplete"]);
			expect(lines.filter((line) => line.includes('"event":"error"'))).toEqual(
				[],
			);
		},
	);
});

describe("a body over the limit", () => {
	const KB = 1024;
	it.each<[string, string, number]>([
		["/keys", "application/json", 65 * KB],
		["/webhooks", "application/json", 65 * KB],
		["/uploads", "application/json", 65 * KB],
		["/uploads", "image/png", 4 * KB * KB + 1],
		["/files", FORM, 4 * KB * KB + 65 * KB],
		["/jobs", "application/json", 24 * KB * KB + 1],
		["/chat/completions", "application/json", 24 * KB * KB + 1],
	])(
		"is 413 once all of it was sent, whether its length was said or not: %s %s",
		async (path, type, size) => {
			for (const length of [String(size), null]) {
				let left = size;
				const chunk = new Uint8Array(64 * KB);
				let body = new ReadableStream<Uint8Array>({
					pull(controller) {
						controller.enqueue(chunk.subarray(0, Math.min(left, chunk.length)));
						left -= Math.min(left, chunk.length);
						if (left === 0) controller.close();
					},
				});
				if (length) body = body.pipeThrough(new FixedLengthStream(size));
				const answer = await send(path, body, { "Content-Type": type });
				expect(left).toBe(0);
				expect(await refused(answer)).toEqual([413, "body_too_large"]);
			}
		},
	);
});

describe("a member `__proto__`", () => {
	it.each<[string, string, string]>([
		[
			"/jobs",
			'{"prompt":"?","metadata":{"__proto__":"a"}}',
			"metadata.__proto__",
		],
		[
			"/jobs",
			'{"prompt":"?","metadata":{"\\u005f_proto\\u005f_":"a"}}',
			"metadata.__proto__",
		],
		[
			"/jobs",
			'{"prompt":"?","metadata":{"__proto__":{"a":"b"}}}',
			"metadata.__proto__",
		],
		["/jobs", '{"prompt":"?","__proto__":{"max_tokens":1}}', "__proto__"],
		[
			"/jobs",
			'{"prompt":"?","images":[{"url":"x","__proto__":null}]}',
			"images[0].__proto__",
		],
		[
			"/chat/completions",
			'{"model":"nano","messages":[{"role":"user","content":"?"}],"metadata":{"__proto__":"a"}}',
			"metadata.__proto__",
		],
		[
			"/chat/completions",
			'{"model":"nano","messages":[{"role":"user","content":"?","__proto__":{}}]}',
			"messages[0].__proto__",
		],
		["/keys", '{"name":"ci","__proto__":{"origins":null}}', "__proto__"],
		["/webhooks", '{"url":"https://example.com","__proto__":1}', "__proto__"],
	])("is refused by name, wherever it is: %s %s", async (path, body, field) => {
		const answer = await send(path, body);
		const { error, ...own } = await answer.json<Wire>();
		const name = error ? error.param : own.field;
		expect([answer.status, error?.code ?? own.code, name]).toEqual([
			400,
			"invalid_request",
			field,
		]);
		expect(error?.message ?? own.detail).toContain(`\`${field}\``);
	});

	it("is no text: a body that speaks of it is taken, and so are other names of old", async () => {
		fakeWorker({ tokens: ["a"] });
		const account = await newAccount(10_000);
		const metadata = {
			constructor: "a",
			prototype: "b",
			toString: "c",
			note: "__proto__ and \\u005f",
		};
		const prompt = "What is __proto__?";
		const made = await create(account, { prompt, metadata });
		expect(made.status).toBe(202);
		expect((await made.json<Wire>()).metadata).toEqual(metadata);
		// The same request again is the same job's, so they count.
		const named = { "Idempotency-Key": "names-of-old" };
		const first = await create(account, { prompt, metadata }, named);
		const { id } = await first.json<Wire>();
		const again = await create(account, { prompt, metadata }, named);
		expect((await again.json<Wire>()).id).toBe(id);
		const other = { ...metadata, constructor: "z" };
		expect(
			await refusal(await create(account, { prompt, metadata: other }, named)),
		).toEqual([409, "idempotency_conflict"]);
	});

	it("is found however deep it lies, and nothing breaks over the depth", async () => {
		const deep = (inner: string) =>
			`{"prompt":${"[".repeat(200_000)}${inner}${"]".repeat(200_000)}}`;
		const found = await send("/jobs", deep('{"__proto__":1}'));
		expect(await refused(found)).toEqual([400, "invalid_request"]);
		const none = await send("/jobs", deep('"\\u005f"'));
		expect(await refused(none)).toEqual([400, "invalid_request"]);
	});
});

describe("an image in a body", () => {
	it("may be followed by what is not read: the answer comes all the same", async () => {
		const answer = await send("/models", PNG);
		expect(answer.status).toBe(405);
		await answer.body?.cancel();
	});
});
