import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { follow } from "../src/follow.ts";
import { JobError, StreamError } from "../src/index.ts";
import { Transport } from "../src/transport.ts";
import { hashOf, type LogEvent, logOf, sse } from "./log.ts";
import { type Asked, clientOf, json, problem, serve } from "./server.ts";

const JOB = { images: [{ url: "https://example.com/a.jpg" }], prompt: "Hi" };
const PIECES = [" A", " cat", " — 猫", " 🐈", " on", " a", " mat", "."];
const TEXT = PIECES.join("");

const start = (response: ServerResponse) =>
	response.writeHead(200, { "Content-Type": "text/event-stream" });
const afterOf = ({ headers }: Asked) => Number(headers["last-event-id"] ?? 0);
const rest = (log: LogEvent[], asked: Asked) =>
	log.filter(({ seq }) => seq > afterOf(asked));
const jobOf = (text = TEXT, status = "succeeded") => ({
	status,
	output: { text },
	sha256: hashOf(text),
	error:
		status === "failed" ? { code: "backend_failed", message: "No." } : null,
});
const isStream = ({ headers }: Asked) => headers.accept === "text/event-stream";

/** The API with one job, whose streams send so many bytes before they break, one after the other, and then all. */
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
	it("has each event once and in order, wherever its connections break", async () => {
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

	it("makes its job once, and then only asks for what follows what it has", async () => {
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

	it("that ends politely without `done` is not at its end", async () => {
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

	it("asks again for what is missing in its middle", async () => {
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

	it("passes over what it has seen", async () => {
		const log = logOf(PIECES);
		const server = await serve((_, response, n) =>
			start(response).end(sse(n === 0 ? log.slice(0, 6) : log)),
		);
		const seen = [];
		for await (const event of clientOf(server).jobs.stream(JOB))
			seen.push(event);
		expect(seen).toEqual(log);
	});

	it("goes on when the API was away and answers 503 first", async () => {
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

	it("is refused where `done` tells of another text", async () => {
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

	it("is refused where the job's text is another", async () => {
		const server = await api(logOf(PIECES), [], jobOf("another"));
		await expect(clientOf(server).jobs.run(JOB)).rejects.toMatchObject({
			code: "stream_mismatch",
		});
	});

	it("that never brings an event is given up", async () => {
		const server = await serve((_, response) =>
			start(response).end(": ping\n"),
		);
		const transport = new Transport({
			...{ baseURL: server.url, apiKey: "key" },
			fetch: (input, init) => fetch(input, init),
		});
		const reading = follow(transport, {
			open: () => ({ path: "/" }),
			...{ after: 7, gap: () => false, patience: 2 },
			signal: new AbortController().signal,
		}).next();
		await expect(reading).rejects.toMatchObject({ code: "stream_broken" });
		await expect(reading).rejects.toThrow("from event 7 on");
		expect(server.asked).toHaveLength(3);
	});

	it("of a job that failed ends with what failed", async () => {
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

	it("of a job that exists begins where it is told, and is empty where there is nothing more", async () => {
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

	it("sends nothing before it is read, and is read once", async () => {
		const server = await api(logOf(PIECES), []);
		const stream = clientOf(server).jobs.stream(JOB);
		await sleep(50);
		expect(server.asked).toHaveLength(0);
		for await (const _ of stream.text());
		await expect(stream.text().next()).rejects.toThrow("read once");
		expect((await stream.job()).output.text).toBe(TEXT);
	});

	it("hangs up when its reader leaves", async () => {
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

	it("hangs up and lets the job be", async () => {
		expect(await abort(false)).toEqual([]);
	});

	it("cancels the job where that was asked for", async () => {
		expect(await abort(true)).toEqual([["POST", "/v1/jobs/<id>/cancel"]]);
	});

	it("by its total time covers the last question too", async () => {
		const server = await serve((asked, response) => {
			if (isStream(asked)) start(response).end(sse(logOf(PIECES)));
		});
		const running = clientOf(server).jobs.run(JOB, { totalTimeout: 1_500 });
		await expect(running).rejects.toMatchObject({ code: "timeout" });
		expect(server.asked.map(({ method }) => method)).toEqual(["PUT", "GET"]);
	});

	it("by its total time is a timeout", async () => {
		const server = await open();
		const running = clientOf(server).jobs.run(JOB, { totalTimeout: 1_000 });
		await expect(running).rejects.toMatchObject({ code: "timeout" });
		await expect.poll(server.hungUp).toBe(1);
	});
});

describe("the feed", () => {
	const event = (seq: number, type: string) => ({
		...{ id: `evt_a_${seq}`, object: "event", seq, type },
		...{ created_at: "2026-01-01T00:00:00Z", data: {} },
	});
	const FEED = [
		"job.created",
		"job.succeeded",
		"job.created",
		"job.failed",
	].map((type, n) => event(n + 1, type));

	it("goes on where a connection broke, also where a filter leaves gaps", async () => {
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

	it("begins at the oldest that is kept, and asks again for what is missing after it", async () => {
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

	it("is a list too, page after page", async () => {
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
