import { expect, it } from "vitest";
import {
	EXIT,
	endingOf,
	Interrupted,
	UsageError,
} from "../../src/command/exit.ts";
import { errorOf } from "../../src/errors.ts";
import {
	ConnectionError,
	JobError,
	MiniGPT4Error,
	StreamError,
	TimeoutError,
} from "../../src/index.ts";

const API = "https://api.example";
const answer = (status: number, code?: string) =>
	errorOf(
		new Response(
			code
				? JSON.stringify({ code, detail: "Why.", request_id: "req_1" })
				: "<h1>",
			{ status },
		),
	);
// biome-ignore lint/suspicious/noExplicitAny: only what is read of it
const job = (part: object): any => ({
	id: "J",
	status: "failed",
	price: 0,
	error: null,
	...part,
});

it.each([
	["a job that failed", new JobError(job({})), EXIT.failed],
	["a refusal", await answer(404, "job_not_found"), EXIT.failed],
	["a wrong request", await answer(400, "invalid_request"), EXIT.failed],
	["wrong use", new UsageError("x"), EXIT.usage],
	["no key", new MiniGPT4Error("missing_key", "x"), EXIT.authentication],
	["a wrong key", await answer(401, "invalid_key"), EXIT.authentication],
	["a key that may not", await answer(403, "bound_key"), EXIT.authentication],
	["no credit", await answer(402, "insufficient_credit"), EXIT.credit],
	["nobody there", new ConnectionError(API, new Error("x")), EXIT.network],
	["no answer in time", new TimeoutError(5), EXIT.network],
	["a stream that broke", new StreamError("stream_broken", "x"), EXIT.network],
	["too many requests", await answer(429, "rate_limited"), EXIT.later],
	["an overload", await answer(503, "storage_unavailable"), EXIT.later],
	["Ctrl-C", new Interrupted(), EXIT.interrupted],
	["what nobody thought of", new Error("x"), EXIT.failed],
])("%s ends with its own number", (_, error, exit) => {
	const ending = endingOf(error, API);
	expect(ending.exit).toBe(exit);
	expect(`${ending.message}${ending.next ?? ""}`).not.toMatch(/\n\s+at /);
});

it("tells what the job that failed cost, and the request id of a refusal", async () => {
	expect(endingOf(new JobError(job({})), API).next).toContain(
		"It cost nothing.",
	);
	expect(endingOf(await answer(404, "job_not_found"), API).requestId).toBe(
		"req_1",
	);
	expect(endingOf(await answer(404), API).next).toContain("MINIGPT4_BASE_URL");
});

it("says how to get a key here, and elsewhere", () => {
	const missing = new MiniGPT4Error("missing_key", "x");
	expect(endingOf(missing, "http://127.0.0.1:8787").next).toContain(
		"npm start",
	);
	expect(endingOf(missing, API).next).toContain("/admin/accounts/{id}/keys");
	expect(endingOf(missing, API).next).not.toContain("npm start");
});
