import { expect, it } from "vitest";
import {
	EXIT,
	Interrupted,
	reportOf,
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
	["a refused request", await answer(404, "job_not_found"), EXIT.failed],
	["a wrong request", await answer(400, "invalid_request"), EXIT.failed],
	["a wrong command line", new UsageError("x"), EXIT.usage],
	["no key", new MiniGPT4Error("missing_key", "x"), EXIT.authentication],
	["a wrong key", await answer(401, "invalid_key"), EXIT.authentication],
	[
		"a key without permission",
		await answer(403, "bound_key"),
		EXIT.authentication,
	],
	["no credit", await answer(402, "insufficient_credit"), EXIT.credit],
	[
		"a server that does not answer",
		new ConnectionError(API, new Error("x")),
		EXIT.network,
	],
	["no answer in time", new TimeoutError(5), EXIT.network],
	["a stream that broke", new StreamError("stream_broken", "x"), EXIT.network],
	["too many requests", await answer(429, "rate_limited"), EXIT.later],
	["an overloaded API", await answer(503, "storage_unavailable"), EXIT.later],
	["Ctrl-C", new Interrupted(), EXIT.interrupted],
	["an unexpected error", new Error("x"), EXIT.failed],
])("%s has its exit code", (_, error, exit) => {
	const report = reportOf(error, API);
	expect(report.exit).toBe(exit);
	expect(`${report.message}${report.next ?? ""}`).not.toMatch(/\n\s+at /);
});

it("tells what a failed job cost, and the request id of a refused request", async () => {
	expect(reportOf(new JobError(job({})), API).next).toContain(
		"It cost nothing.",
	);
	expect(reportOf(await answer(404, "job_not_found"), API).requestId).toBe(
		"req_1",
	);
	expect(reportOf(await answer(404), API).next).toContain("MINIGPT4_BASE_URL");
});

it("tells how to get a key, locally and elsewhere", () => {
	const missing = new MiniGPT4Error("missing_key", "x");
	expect(reportOf(missing, "http://127.0.0.1:8787").next).toContain(
		"npm start",
	);
	expect(reportOf(missing, API).next).toContain("/admin/accounts/{id}/keys");
	expect(reportOf(missing, API).next).not.toContain("npm start");
});
