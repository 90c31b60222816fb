import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { follow } from "../src/follow.ts";
import { JobError, StreamError } from "../src/index.ts";
import { Transport } from "../src/transport.ts";
import { hashOf, type LogEvent, logOf, sse } from "./log.ts";
import {
	clientOf,
	json,
	problem,
	type RecordedRequest,
	serve,
} from "./server.ts";

const JOB = { images: [{ url: "https://example.com/a.jpg" }], prompt: "Hi" };
const PIECES = [" A", " cat", " — 猫", " 🐈", " on", " a", " mat", "."];
const TEXT = PIECES.join("");

const start = (response: ServerResponse) =>
	response.writeHead(200, { "Content-Type": "text/event-stream" });
const afterOf = ({ headers }: RecordedRequest) =>
	Number(headers["last-event-id"] ?? 0);
const rest = (log: LogEvent[], asked: RecordedRequest) =>
	log.filter(({ seq }) => seq > afterOf(asked));
const jobOf = (text = TEXT, status = "succeeded") => ({
	status,
	output: { text },
	sha256: hashOf(text),
	error:
		status === "failed" ? { code: "backend_failed", message: "No." } : null,
});
const isStream = ({ headers }: RecordedRequest) =>
	headers.accept === "text/event-stream";

/** An API with one job. Connections break after these numbers of bytes; the last is whole. */
const api = (log: LogEvent[], breaks: number[], job: object = jobOf()) =>
	serve((asked, response) => {
		if (!isStream(asked)) return json(response, 200, job);
		start(response);
		const bytes = Buffer.from(sse(rest(log, asked)));
		const most = breaks.shift();
		if (most === undefined) return response.end(bytes);
		response.write(bytes.subarray(0, most), () => response.destroy());
	});

describe("a stream", () => {
	it("yields each event once and in order, wherever its connections break", async () => {
		const log = logOf(PIECES);
		const length = Buffer.byteLength(sse(log));
		await fc.assert(
			fc.asyncProperty(
				fc.array(fc.integer({ min: 1, max: length }), { maxLength: 3 }),
				async (breaks) => {
					const server = await api(log, [...breaks]);
					const stream = clientOf(server).jobs.stream(JOB);
					const seen = [];
					for await (const event of stream) seen.push(event);
					expect(seen).toEqual(log);
					expect((await stream.job()).output.text).toBe(TEXT);
					await server.stop();
				},
			),
			{ numRuns: 25 },
		);
	}, 60_000);

	it("creates its job once, and then asks only for the events that follow", async () => {
		const log = logOf(PIECES);
		const two = Buffer.byteLength(sse(log.slice(0, 2)));
		const server = await api(log, [two, 3]);
		const stream = clientOf(server).jobs.stream(JOB);
		await stream.job();
		const asked = server.asked.map((one) => [
			one.method,
			one.path,
			one.headers["last-event-id"],
		]);
		const at = `/v1/jobs/${stream.id}`;
		expect(asked).toEqual([
			["PUT", at, "0"],
			["GET", `${at}/events`, "2"],
			["GET", `${at}/events`, "2"],
			["GET", at, undefined],
		]);
	});

	it("reconnects after a connection that ends without `done`", async () => {
		const log = logOf(PIECES);
		const server = await serve((asked, response, n) => {
			if (!isStream(asked)) return json(response, 200, jobOf());
			start(response).end(sse(n === 0 ? log.slice(0, -1) : rest(log, asked)));
		});
		let text = "";
		for await (const piece of clientOf(server).jobs.stream(JOB).text())
			text += piece;
		expect(text).toBe(TEXT);
		expect(server.asked).toHaveLength(2);
	});

	it("reconnects for events that are missing in the middle", async () => {
		const log = logOf(PIECES);
		const server = await serve((asked, response, n) => {
			const events = rest(log, asked);
			start(response).end(
				sse(n === 0 ? events.filter(({ seq }) => seq !== 5) : events),
			);
		});
		const seen = [];
		for await (const event of clientOf(server).jobs.stream(JOB))
			seen.push(event);
		expect(seen).toEqual(log);
	});

	it("skips events that it has seen", async () => {
		const log = logOf(PIECES);
		const server = await serve((_, response, n) =>
			start(response).end(sse(n === 0 ? log.slice(0, 6) : log)),
		);
		const seen = [];
		for await (const event of clientOf(server).jobs.stream(JOB))
			seen.push(event);
		expect(seen).toEqual(log);
	});

	it("continues after the API was away and answered 503", async () => {
		const log = logOf(PIECES);
		const server = await serve((asked, response, n) => {
			if (n === 1) return response.destroy();
			if (n === 2) return problem(response, 503, "too_many_readers");
			start(response).end(sse(n === 0 ? log.slice(0, 4) : rest(log, asked)));
		});
		const seen = [];
		for await (const event of clientOf(server).jobs.stream(JOB))
			seen.push(event);
		expect(seen).toEqual(log);
	});

	it("fails if `done` describes another text", async () => {
		for (const said of [
			{ sha256: hashOf("another") },
			{ bytes: 3 },
			{ last_seq: 99 },
		]) {
			const server = await api(logOf(PIECES, said), []);
			const types: string[] = [];
			const reading = (async () => {
				for await (const { type } of clientOf(server).jobs.stream(JOB))
					types.push(type);
			})();
			await expect(reading).rejects.toBeInstanceOf(StreamError);
			await expect(reading).rejects.toMatchObject({ code: "stream_mismatch" });
			expect(types).not.toContain("done");
		}
	});

	it("fails if the job's text is another", async () => {
		const server = await api(logOf(PIECES), [], jobOf("another"));
		await expect(clientOf(server).jobs.run(JOB)).rejects.toMatchObject({
			code: "stream_mismatch",
		});
	});

	it("gives up after too many connections without an event", async () => {
		const server = await serve((_, response) =>
			start(response).end(": ping\n"),
		);
		const transport = new Transport({
			baseURL: server.url,
			apiKey: "key",
			fetch: (input, init) => fetch(input, init),
		});
		const reading = follow(transport, {
			callAfter: () => ({ path: "/" }),
			after: 7,
			isGap: () => false,
			maxEmptyConnections: 2,
			signal: new AbortController().signal,
		}).next();
		await expect(reading).rejects.toMatchObject({ code: "stream_broken" });
		await expect(reading).rejects.toThrow("after event 7");
		expect(server.asked).toHaveLength(3);
	});

	it("of a failed job ends with its error", async () => {
		const server = await api(
			logOf(PIECES, {}, "failed"),
			[],
			jobOf(TEXT, "failed"),
		);
		const running = clientOf(server).jobs.run(JOB);
		await expect(running).rejects.toBeInstanceOf(JobError);
		await expect(running).rejects.toMatchObject({
			code: "backend_failed",
			message: "No.",
			job: { status: "failed" },
		});
	});

	it("of an existing job starts after a number, and is empty after the last", async () => {
		const log = logOf(PIECES);
		const server = await serve((asked, response) =>
			afterOf(asked) === log.length
				? response.writeHead(204).end()
				: start(response).end(sse(rest(log, asked))),
		);
		const { jobs } = clientOf(server);
		const seen = [];
		for await (const event of jobs.events("x", { after: 5 })) seen.push(event);
		expect(seen).toEqual(log.slice(5));
		for await (const _ of jobs.events("x", { after: log.length }))
			expect.unreachable();
		expect(server.asked.every(({ method }) => method === "GET")).toBe(true);
	});

	it("sends nothing before it is read, and can be read once", async () => {
		const server = await api(logOf(PIECES), []);
		const stream = clientOf(server).jobs.stream(JOB);
		await sleep(50);
		expect(server.asked).toHaveLength(0);
		for await (const _ of stream.text());
		await expect(stream.text().next()).rejects.toThrow("read once");
		expect((await stream.job()).output.text).toBe(TEXT);
	});

	it("closes the connection when its reader leaves", async () => {
		const server = await serve((_, response) => {
			start(response).write(sse(logOf(PIECES).slice(0, 4)));
		});
		for await (const _ of clientOf(server).jobs.stream(JOB)) break;
		await expect.poll(server.hungUp).toBe(1);
	});
});

describe("an abort of a stream", () => {
	const open = () =>
		serve((asked, response) => {
			if (!isStream(asked)) return json(response, 200, jobOf("", "canceled"));
			start(response).write(sse(logOf(PIECES).slice(0, 4)));
		});
	const abort = async (cancelOnAbort: boolean) => {
		const server = await open();
		const controller = new AbortController();
		const { signal } = controller;
		const stream = clientOf(server).jobs.stream(JOB, { signal, cancelOnAbort });
		const reading = (async () => {
			for await (const { seq } of stream)
				if (seq === 4) controller.abort(new Error("enough"));
		})();
		await expect(reading).rejects.toThrow("enough");
		await expect.poll(server.hungUp).toBe(1);
		if (cancelOnAbort) await expect.poll(() => server.asked.length).toBe(2);
		await sleep(100);
		return server.asked
			.slice(1)
			.map(({ method, path }) => [method, path.replace(stream.id, "<id>")]);
	};

	it("closes the connection and leaves the job alone", async () => {
		expect(await abort(false)).toEqual([]);
	});

	it("cancels the job if `cancelOnAbort` is set", async () => {
		expect(await abort(true)).toEqual([["POST", "/v1/jobs/<id>/cancel"]]);
	});

	it("by the total limit covers the last call too", async () => {
		const server = await serve((asked, response) => {
			if (isStream(asked)) start(response).end(sse(logOf(PIECES)));
		});
		const running = clientOf(server).jobs.run(JOB, { totalTimeout: 1_500 });
		await expect(running).rejects.toMatchObject({ code: "timeout" });
		expect(server.asked.map(({ method }) => method)).toEqual(["PUT", "GET"]);
	});

	it("by the total limit is a TimeoutError", async () => {
		const server = await open();
		const running = clientOf(server).jobs.run(JOB, { totalTimeout: 1_000 });
		await expect(running).rejects.toMatchObject({ code: "timeout" });
		await expect.poll(server.hungUp).toBe(1);
	});
});

describe("the feed", () => {
	const event = (seq: number, type: string) => ({
		id: `evt_a_${seq}`,
		object: "event",
		seq,
		type,
		created_at: "2026-01-01T00:00:00Z",
		data: {},
	});
	const FEED = [
		"job.created",
		"job.succeeded",
		"job.created",
		"job.failed",
	].map((type, n) => event(n + 1, type));

	it("continues where a connection broke, also if a filter leaves gaps", async () => {
		const server = await serve((asked, response) => {
			const next = FEED.filter(
				({ seq, type }) => seq > afterOf(asked) && type !== "job.created",
			).slice(0, 1);
			start(response).end(
				sse(next.map((data) => ({ seq: data.seq, type: data.type, data }))),
			);
		});
		const seen = [];
		const types = ["job.succeeded", "job.failed"] as const;
		for await (const one of clientOf(server).events.stream({
			types: [...types],
		})) {
			seen.push(one);
			if (one.seq === 4) break;
		}
		expect(seen).toEqual([FEED[1], FEED[3]]);
		expect(server.asked.map(afterOf)).toEqual([0, 2]);
		expect(server.asked[0]?.path).toContain(
			`types=${encodeURIComponent(types.join())}`,
		);
	});

	it("starts at the oldest event that is kept, and reconnects for missing events", async () => {
		const kept = [5, 6, 7].map((seq) => event(seq, "job.created"));
		const server = await serve((asked, response, n) => {
			const next = kept.filter(({ seq }) => seq > afterOf(asked));
			const sent = n === 0 ? next.filter(({ seq }) => seq !== 6) : next;
			start(response).end(
				sse(sent.map((data) => ({ seq: data.seq, type: data.type, data }))),
			);
		});
		const seen = [];
		for await (const one of clientOf(server).events.stream()) {
			seen.push(one);
			if (one.seq === 7) break;
		}
		expect(seen).toEqual(kept);
		expect(server.asked.map(({ headers }) => headers["last-event-id"])).toEqual(
			[undefined, "5"],
		);
	});

	it("can be listed page by page", async () => {
		const server = await serve(({ path }, response) => {
			const after = Number(
				new URL(path, "http://x").searchParams.get("after") ?? 0,
			);
			const data = FEED.filter(({ seq }) => seq > after).slice(0, 3);
			const next_cursor = after === 0 ? "3" : null;
			json(response, 200, { data, next_cursor, last_seq: 4 });
		});
		const seen = [];
		for await (const one of clientOf(server).events.list()) seen.push(one);
		expect(seen).toEqual(FEED);
	});
});
