/** Readers that stall, beside readers that do not. */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import type { Job } from "../../src/job/job.ts";
import { followLog, openJobLog } from "../../src/stream/follower.ts";
import { eventStream } from "../../src/stream/sse-writer.ts";
import { bindings } from "../support/account.ts";
import { eventually } from "../support/eventually.ts";
import {
	events,
	fakeWorker,
	gate,
	type Read,
	read,
	startedJob,
	type TestJob,
	textOf,
	words,
} from "../support/jobs.ts";

const BUFFER = 256 * 1024;
/** 600 KB in 30 tokens, which are one event each when they come 40 ms apart. */
const LONG = Array.from({ length: 30 }, (_, n) => `${n}`.padEnd(20_000, "."));
const long = () => startedJob({ sampling: { max_tokens: 2_000 } });
const raw = (seen: Read[]): string => seen.map((event) => event.raw).join("");
const sleep = (ms: number) => new Promise((wait) => setTimeout(wait, ms));

async function stream(job: TestJob, stallMs = 60_000) {
	const open = openJobLog(bindings, job.account.id, job.id);
	const never = new AbortController().signal;
	return eventStream({
		follow: followLog(open, await open(0), 0),
		signal: never,
		stallMs,
	});
}

/** The cursor with which the test's only follower resumes after a pause. */
function resumeCursor(): () => number | null {
	const send = vi.spyOn(WebSocket.prototype, "send");
	return () => {
		const sent = send.mock.calls.map(([message]) => message);
		const paused = sent.indexOf("pause");
		const next = sent
			.slice(paused + 1)
			.find((each) => /^\d+$/.test(String(each)));
		return paused < 0 || next === undefined ? null : Number(next);
	};
}

const fullBuffer = () =>
	eventually(() =>
		expect(WebSocket.prototype.send).toHaveBeenCalledWith("pause"),
	);

describe("a reader that stalls", () => {
	it("for too long is disconnected, delays no other reader, and can resume", async () => {
		fakeWorker({ tokens: LONG, every: 40 });
		const job = await long();
		const stalled = await Promise.all(
			Array.from({ length: 5 }, () => stream(job, 300)),
		);
		// Each reads one chunk, and then no more.
		const readers = stalled.map((each) => each.getReader());
		await Promise.all(readers.map((reader) => reader.read()));
		const fast = await Promise.all([1, 2, 3].map(() => events(job)));
		for (const seen of fast) expect(textOf(seen)).toBe(LONG.join(""));
		await sleep(500);
		// The buffer was dropped, except the chunk that was on its way.
		for (const [n, reader] of readers.entries()) {
			reader.releaseLock();
			const rest = await read(stalled[n] as ReadableStream<Uint8Array>);
			expect(rest.map(({ type }) => type)).not.toContain("done");
			const last = rest.at(-1)?.seq ?? 0;
			expect(last).toBeLessThan(5);
			expect(raw([...rest, ...(await events(job, last))])).toBe(
				raw(fast[0] as Read[]),
			);
		}
		await eventually(() =>
			runInDurableObject(job.stub(), (_: Job, state) =>
				expect(state.getWebSockets()).toHaveLength(0),
			),
		);
	});

	it("with less than a full buffer is disconnected as well", async () => {
		fakeWorker({ tokens: LONG.slice(0, 5), every: 40 });
		const job = await long();
		const bytes = await stream(job, 300);
		await events(job);
		await sleep(600);
		const seen = await read(bytes);
		expect(seen.map(({ type }) => type)).not.toContain("done");
	});

	it("has at most 256 KiB buffered, and continues after them", async () => {
		fakeWorker({ tokens: LONG, every: 40 });
		const job = await long();
		const whole = await events(job);
		const last = resumeCursor();
		const bytes = await stream(job);
		await fullBuffer();
		expect(raw(await read(bytes))).toBe(raw(whole));
		const kept = raw(whole.slice(0, last() as number)).length;
		expect(kept).toBeGreaterThan(BUFFER / 2);
		// The buffer, and the chunk that is on its way.
		expect(kept).toBeLessThanOrEqual(BUFFER + 2 * 20_100);
	});

	it("has at most 1,000 events buffered, and continues after them", async () => {
		fakeWorker({ tokens: words(3), gate: () => new Promise(() => {}) });
		const job = await startedJob();
		await events(job, 0, ({ type }) => type === "job.running");
		// Writes more events than a test can wait for.
		await runInDurableObject(job.stub(), async (_, state) => {
			for (let seq = 3; seq <= 5_000; seq++)
				state.storage.sql.exec(
					"INSERT INTO event (seq, type, data) VALUES (?, 'token', ?)",
					seq,
					'{"text":""}',
				);
			await state.storage.sync();
			state.abort("killed");
		}).catch(() => {});
		const last = resumeCursor();
		const bytes = await stream(job);
		await fullBuffer();
		const seen = await read(bytes, ({ seq }) => seq === 5_000);
		expect(seen.map(({ seq }) => seq)).toEqual(seen.map((_, n) => n + 1));
		expect(last()).toBeGreaterThan(500);
		// The buffer, and a chunk of at most 16 KiB that is on its way.
		expect(last()).toBeLessThan(1_000 + 400);
	});

	it("still counts as a reader of the job", async () => {
		const { opened, open } = gate();
		fakeWorker({
			tokens: LONG,
			every: 40,
			gate: (n) => (n === 25 ? opened : undefined),
		});
		const job = await startedJob({
			onDisconnect: "cancel",
			sampling: { max_tokens: 2_000 },
		});
		const bytes = await stream(job);
		await eventually(async () =>
			expect((await job.stub().view())?.outputTokens).toBe(25),
		);
		await runInDurableObject(job.stub(), async (object: Job) => {
			object.clock = () => Date.now() + 60_000;
			await object.alarm();
		});
		open();
		expect((await read(bytes)).at(-2)?.type).toBe("job.succeeded");
	});
});
