import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
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
	textOf,
	words,
} from "../support/jobs.ts";

const raw = (read: Read[]): string => read.map((event) => event.raw).join("");

/** Reads a job to its end, but hangs up after every `every` events and resumes. */
async function readInPieces(
	job: Awaited<ReturnType<typeof startedJob>>,
	every: number,
): Promise<Read[]> {
	const all: Read[] = [];
	while (all.at(-1)?.type !== "done") {
		let count = 0;
		all.push(
			...(await events(job, all.at(-1)?.seq ?? 0, () => ++count >= every)),
		);
	}
	return all;
}

describe("a reader", () => {
	it("that hangs up after any event and resumes gets a byte-identical whole", async () => {
		fakeWorker({ tokens: words(30), every: 15 });
		const job = await startedJob();
		const [whole, ...pieces] = await Promise.all([
			events(job),
			readInPieces(job, 1),
			readInPieces(job, 2),
			readInPieces(job, 3),
			readInPieces(job, 5),
		]);
		for (const piece of pieces) expect(raw(piece)).toBe(raw(whole));
		expect(textOf(whole)).toBe(words(30).join(""));
		for (let after = 0; after < whole.length; after++)
			expect(raw(await events(job, after))).toBe(raw(whole.slice(after)));
	});

	it("is one of 200, which all get the whole log in order", async () => {
		fakeWorker({ tokens: words(40), every: 20 });
		const job = await startedJob();
		const readers = Array.from({ length: 200 }, async (_, n) => {
			await new Promise((wait) => setTimeout(wait, n * 3));
			return n % 4 === 0 ? readInPieces(job, 4) : events(job);
		});
		const seen = await Promise.all(readers);
		const whole = raw(await events(job));
		for (const each of seen) expect(raw(each)).toBe(whole);
	});

	it("sees nothing that is not durable yet", async () => {
		const { opened, open } = gate();
		fakeWorker({
			tokens: words(3),
			gate: (n) => (n === 1 ? opened : undefined),
		});
		const job = await startedJob();
		await events(job, 0, ({ type }) => type === "token");
		// Delays the next sync: the row is written, but not durable yet.
		const held = gate();
		await runInDurableObject(job.stub(), (_, { storage }) => {
			const sync = storage.sync.bind(storage);
			storage.sync = async () => {
				await held.opened;
				await sync();
			};
		});
		const seen: Read[] = [];
		const reading = events(job, 0, (event) => {
			seen.push(event);
			return false;
		});
		open();
		await eventually(async () =>
			expect(await logged(job.stub())).toBeGreaterThan(seen.length),
		);
		await new Promise((wait) => setTimeout(wait, 100));
		const before = seen.length;
		expect(await logged(job.stub())).toBeGreaterThan(before);
		held.open();
		expect((await reading).length).toBe(await logged(job.stub()));
	});

	it("keeps its cursor while the job hibernates and wakes", async () => {
		const worker = fakeWorker({ tokens: words(4) });
		worker.state = "starting";
		const job = await startedJob();
		const reading = events(job);
		await events(job, 0, ({ type }) => type === "job.provisioning");
		await evictDurableObject(job.stub());
		worker.state = "ready";
		const seen = await reading;
		expect(textOf(seen)).toBe(words(4).join(""));
		expect(seen.map(({ seq }) => seq)).toEqual(seen.map((_, n) => n + 1));
	});

	it("that is slow delays neither the job nor other readers", async () => {
		const tokens = Array.from({ length: 60 }, (_, n) =>
			`${n}`.padEnd(20_000, "."),
		);
		fakeWorker({ tokens, every: 10 });
		const job = await startedJob({ sampling: { max_tokens: 2000 } });
		const open = openJobLog(bindings, job.account.id, job.id);
		const stream = eventStream({
			follow: followLog(open, await open(0), 0),
			signal: new AbortController().signal,
		});
		const fast = await events(job);
		expect(textOf(fast)).toBe(tokens.join(""));
		expect(raw(await read(stream))).toBe(raw(fast));
	});

	it("that leaves is removed", async () => {
		const { opened, open } = gate();
		fakeWorker({
			tokens: words(3),
			gate: (n) => (n === 1 ? opened : undefined),
		});
		const job = await startedJob();
		await events(job, 0, ({ type }) => type === "token");
		await eventually(() =>
			runInDurableObject(job.stub(), (_: Job, state) => {
				expect(state.getWebSockets()).toHaveLength(0);
			}),
		);
		open();
		await events(job);
	});
});

/** The number of events in the log. */
const logged = (stub: DurableObjectStub<Job>): Promise<number> =>
	runInDurableObject(
		stub,
		(_, { storage }) =>
			storage.sql.exec<{ n: number }>("SELECT max(seq) AS n FROM event").one()
				.n,
	);
