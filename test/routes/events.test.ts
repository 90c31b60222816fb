import { describe, expect, it } from "vitest";
import { followLog, openJobLog } from "../../src/stream/follower.ts";
import { eventStream } from "../../src/stream/sse-writer.ts";
import { bindings } from "../support/account.ts";
import { edge } from "../support/edge.ts";
import {
	events,
	fakeWorker,
	gate,
	read,
	startedJob,
	type TestJob,
	textOf,
	words,
} from "../support/jobs.ts";

const get = (
	job: TestJob,
	query = "",
	headers: Record<string, string> = {},
): Promise<Response> =>
	edge.fetch(`http://edge.test/v1/jobs/${job.id}/events${query}`, {
		headers: { Authorization: `Bearer ${job.account.key}`, ...headers },
	});

const body = (response: Response) =>
	response.body as ReadableStream<Uint8Array>;

async function finishedJob(): Promise<TestJob> {
	const job = await startedJob();
	await events(job);
	return job;
}

describe("GET /v1/jobs/{id}/events", () => {
	it("is an event stream that tells when to reconnect, and ends after `done`", async () => {
		fakeWorker({ tokens: words(3) });
		const response = await get(await finishedJob());
		expect(response.status).toBe(200);
		expect(response.headers.get("Content-Type")).toBe(
			"text/event-stream; charset=utf-8",
		);
		expect(response.headers.get("Cache-Control")).toBe("no-store");
		const text = await response.text();
		expect(text).toMatch(
			/^: ping\nretry: \d+\nid: 1\nevent: job.queued\ndata: \{/,
		);
		expect(text).toMatch(/event: done\ndata: \{.*\}\n\n$/);
	});

	it("starts after the event that the caller saw last; the query beats the header", async () => {
		fakeWorker({ tokens: words(3) });
		const job = await finishedJob();
		const from = async (query: string, headers = {}) =>
			(await read(body(await get(job, query, headers))))[0]?.seq;
		expect(await from("?after=2")).toBe(3);
		expect(await from("", { "Last-Event-ID": "3" })).toBe(4);
		expect(await from("?after=1", { "Last-Event-ID": "3" })).toBe(2);
		expect(await from("", { "Last-Event-ID": "" })).toBe(1);
	});

	it.each([
		["?after=-1", {}, "after"],
		["?after=x", {}, "after"],
		["?after=1.5", {}, "after"],
		["?after=", {}, "after"],
		["", { "Last-Event-ID": "abc" }, "Last-Event-ID"],
		["?after=9999", {}, "after"],
		["", { "Last-Event-ID": "9999" }, "Last-Event-ID"],
	])("refuses %s %o and names the field", async (query, headers, field) => {
		fakeWorker({ tokens: words(3) });
		const response = await get(await finishedJob(), query, headers);
		expect(response.status).toBe(400);
		expect(await response.json()).toMatchObject({
			code: "invalid_request",
			field,
		});
	});

	it("answers 204 where nothing is left, which also ends a browser's reconnects", async () => {
		fakeWorker({ tokens: words(3) });
		const job = await finishedJob();
		const last = (await job.stub().view())?.lastSeq;
		expect((await get(job, `?after=${last}`)).status).toBe(204);
	});

	it("says that it lives while nothing happens", async () => {
		const { opened, open } = gate();
		fakeWorker({ tokens: words(2), gate: (n) => (n ? opened : undefined) });
		const job = await startedJob();
		const connect = openJobLog(bindings, job.account.id, job.id);
		const never = new AbortController().signal;
		const stream = eventStream({
			follow: followLog(connect, await connect(0), 0),
			signal: never,
			pingMs: 50,
		});
		const reader = stream.getReader();
		const decoder = new TextDecoder();
		let text = "";
		while (!text.endsWith(": ping\n: ping\n"))
			text += decoder.decode((await reader.read()).value);
		await reader.cancel();
		open();
		expect(textOf(await events(job))).toBe(words(2).join(""));
	});
});
