import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { logLine } from "../src/log.ts";
import { newAccount } from "./support/account.ts";
import { edge } from "./support/edge.ts";
import { fixture } from "./support/images.ts";
import { fakeWorker } from "./support/jobs.ts";
import { replicate } from "./support/jobs-on-replicate.ts";

afterEach(() => {
	vi.restoreAllMocks();
});

/** Everything written to any channel of the console. */
function captured(): string[] {
	const lines: string[] = [];
	for (const channel of ["log", "info", "debug", "warn", "error"] as const)
		vi.spyOn(console, channel).mockImplementation((...said) => {
			lines.push(said.map(String).join(" "));
		});
	return lines;
}

const thrownBy = (work: () => unknown): Error => {
	try {
		work();
	} catch (error) {
		return error as Error;
	}
	throw new Error("nothing was thrown");
};

describe("a log line", () => {
	it("of an error leaves out the text that the error quotes", () => {
		const lines = captured();
		fc.assert(
			fc.property(fc.string({ minLength: 1 }), (text) => {
				const secret = `private${text}private`;
				const error = thrownBy(() => JSON.parse(secret));
				lines.length = 0;
				logLine("failed", { cause: String(error), stack: error.stack ?? "" });
				expect(JSON.parse(lines[0] as string).cause).toMatch(/^SyntaxError: /);
				expect(lines[0]).not.toContain("private");
			}),
		);
	});

	it.each([
		["a key", "no mg_live_abcdefgh_secret_tag here", "mg_live"],
		["a bearer token", "sent Bearer abc.def-secret", "secret"],
		["another's token", "Replicate says r8_secret is wrong", "secret"],
		[
			"a signed URL",
			"GET https://s3.test/a/b?X-Amz-Signature=secret failed",
			"secret",
		],
		["a password in a URL", "no way to http://user:secret@host/", "secret"],
		["a fragment", "at https://host/#secret", "secret"],
		["an image", "got data:image/png;base64,c2VjcmV0", "c2VjcmV0"],
		["quoted words", `cannot find 'the secret'`, "secret"],
		["quoted words that quote", `"he said "secret" twice"`, "secret"],
	])("never holds %s", (_, cause, secret) => {
		const lines = captured();
		logLine("failed", { cause });
		expect(lines[0]).not.toContain(secret);
	});

	it("keeps what operators need", () => {
		const lines = captured();
		const error = new TypeError("Network connection lost.");
		logLine("failed", {
			cause: error.stack ?? "",
			url: "reading https://s3.test/bucket/key",
			n: 1,
		});
		expect(JSON.parse(lines[0] as string)).toEqual({
			time: expect.stringMatching(/^\d{4}-.*Z$/),
			event: "failed",
			cause: expect.stringMatching(
				/^TypeError: Network connection lost\.\n +at .*log\.test/,
			),
			url: "reading https://s3.test/…",
			n: 1,
		});
		expect(lines[0]).not.toContain("\n");
	});

	it("is cut at a limit", () => {
		const lines = captured();
		logLine("failed", { cause: "x".repeat(100_000) });
		expect((lines[0] as string).length).toBeLessThan(3_000);
	});
});

const SECRETS = {
	prompt: "planted-question",
	answer: "planted-answer",
	stop: "planted-stop",
	metadata: "planted-metadata",
	label: "planted-label",
	query: "planted-query",
	path: "planted-path",
	idempotency: "planted-idempotency",
	agent: "planted-agent",
};

describe("the logs of a whole job", () => {
	it.each(["nano", "llama2-7b"])(
		"of %s hold neither content nor secrets, whatever goes wrong",
		async (model) => {
			const lines = captured();
			const account = await newAccount(100_000);
			const png = fixture("place.png").bytes.toBase64();
			const worker = fakeWorker({
				tokens: [` ${SECRETS.answer}`, " b", " c", " d"],
				every: 5,
				faults: { 1: { error: "engine_failed" }, 2: { break: true, after: 2 } },
			});
			replicate((n) => ({
				tokens: [` ${SECRETS.answer}`, " b"],
				...(n === 1 && {
					fails: { after: 0, error: `${SECRETS.prompt} is bad` },
				}),
			}));
			const headers = {
				Authorization: `Bearer ${account.key}`,
				"Content-Type": "application/json",
				"User-Agent": SECRETS.agent,
			};
			const call = async (path: string, init: RequestInit = {}) => {
				const response = await edge.fetch(`http://edge${path}`, {
					...init,
					headers: { ...headers, ...(init.headers as object) },
				} as never);
				return [response, await response.text()] as const;
			};
			const body = {
				model,
				prompt: SECRETS.prompt,
				images: [{ url: `data:image/png;base64,${png}` }],
				stop: [SECRETS.stop],
				metadata: { [SECRETS.label]: SECRETS.metadata },
			};
			const post = (more: object, extra: Record<string, string> = {}) =>
				call(`/v1/jobs?name=${SECRETS.query}`, {
					method: "POST",
					body: JSON.stringify({ ...body, ...more }),
					headers: { "Idempotency-Key": SECRETS.idempotency, ...extra },
				});
			const [, events] = await post({}, { Accept: "text/event-stream" });
			expect(events).toContain(SECRETS.answer);
			expect(events).toContain("event: job.succeeded");
			const id = /"id":"(\w{26})"/.exec(events)?.[1];
			// Refused, mistyped and broken requests as well.
			const calls = [
				post({ prompt: `${SECRETS.prompt} again` }),
				post({ model: SECRETS.prompt }),
				post({
					images: [{ url: `https://${SECRETS.path}.test/?${SECRETS.query}` }],
				}),
				call("/v1/jobs", {
					method: "POST",
					body: `{"prompt": "${SECRETS.prompt}`,
				}),
				call(`/v1/jobs/${SECRETS.path}?${SECRETS.query}`),
				call(`/v1/${SECRETS.path}`),
				call(`/v1/jobs/${account.key}`),
				call(`/v1/jobs/${id}/events?after=${SECRETS.query}`),
				call("/v1/account", {
					headers: { Authorization: `Bearer ${account.key}x` },
				}),
			];
			for (const each of calls)
				expect((await each)[0].status).toBeGreaterThanOrEqual(400);
			vi.spyOn(globalThis, "fetch").mockImplementation(async (input) => {
				throw new Error(`no way to "${new Request(input as RequestInfo).url}"`);
			});
			const [broken] = await post(
				{
					prompt: "else",
					images: [
						{
							url: `data:image/jpeg;base64,${fixture("place.jpg").bytes.toBase64()}`,
						},
					],
				},
				{ "Idempotency-Key": "else" },
			);
			expect(broken.status).toBe(503);
			const said = lines.join("\n");
			expect(said).toContain('"event":"attempt_failed"');
			expect(said).toContain('"event":"job"');
			expect(said).toContain('"event":"storage_failed"');
			const [lookup = "", secret = ""] = account.key.split("_").slice(2);
			expect(said).not.toContain(lookup === account.id ? secret : account.key);
			for (const planted of [
				...Object.values(SECRETS),
				png.slice(0, 64),
				"X-Amz-",
				"worker-key",
				"r8_test",
				"whsec_",
			])
				expect(said).not.toContain(planted);
			expect(worker.requests.length).toBe(model === "nano" ? 3 : 0);
			for (const line of lines) expect(() => JSON.parse(line)).not.toThrow();
		},
	);
});
