/**
 * A planned seam: the next attempt continues one that reached its time limit, unseen by readers.
 */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { attemptSeed } from "../../src/job/attempt.ts";
import type { Job } from "../../src/job/job.ts";
import { bindings } from "../support/account.ts";
import type { Script } from "../support/fake-worker.ts";
import {
	admittedJob,
	events,
	fakeWorker,
	type Read,
	textOf,
	words,
} from "../support/jobs.ts";

/** The events of a job whose attempts last 200 ms. */
async function seamed(
	part: Parameters<typeof admittedJob>[0] = {},
): Promise<Read[]> {
	const job = await admittedJob(part);
	await runInDurableObject(job.stub(), (object: Job) => {
		object.longestAttempt = 200;
	});
	await job.stub().start(job.spec);
	return events(job);
}

/** The first attempt hangs before its n-th token (from 0) until its time limit. */
const hangsBefore = (n: number, script: Script): Script => ({
	...script,
	gate: (at, attempt) =>
		at >= n && attempt === 1 ? new Promise(() => {}) : undefined,
});

const TEXT = ["na", "ïv", "", "e 日", "本", " one", " #", "#", "#", " two"];

describe("a planned seam", () => {
	it("is seen by no reader, and keeps its slot", async () => {
		const worker = fakeWorker(hangsBefore(7, { tokens: words(20) }));
		const seen = await seamed();
		expect(textOf(seen)).toBe(words(20).join(""));
		expect(seen.filter(({ type }) => type !== "token")).toHaveLength(5);
		expect(worker.requests.map(({ request_id }) => request_id.at(-1))).toEqual([
			"1",
			"2",
		]);
		expect(worker.requests[1]?.committed_token_ids).toHaveLength(7);
		expect(worker.peak).toBe(1);
		const pool = bindings.POOL.get(bindings.POOL.idFromName("nano"));
		expect((await pool.load("nano")).running).toBe(0);
	});

	it("changes neither the text nor where a stop string ends it, wherever it comes", async () => {
		const worker = fakeWorker((prompt) => {
			const [n, group] = prompt.split(" ").map(Number) as [number, number];
			return hangsBefore(n, { tokens: TEXT, group });
		});
		worker.slots = 100;
		const seams = TEXT.flatMap((_, n) => [1, 2].map((by) => `${n} ${by}`));
		await Promise.all(
			seams.slice(2).flatMap((prompt) => [
				seamed({ prompt }).then((seen) =>
					expect(textOf(seen)).toBe(TEXT.join("")),
				),
				seamed({ prompt, sampling: { stop: ["###", "## t"] } }).then((seen) => {
					expect(textOf(seen)).toBe("naïve 日本 one ");
					expect(seen.at(-2)?.data.finish_reason).toBe("stop");
				}),
			]),
		);
		expect(worker.requests.length).toBeGreaterThan(seams.length * 2);
	});

	it("leaves the rest of the token budget to the next attempt", async () => {
		const worker = fakeWorker(hangsBefore(3, { tokens: words(20) }));
		const seen = await seamed({ sampling: { max_tokens: 5 } });
		expect(textOf(seen)).toBe(words(5).join(""));
		expect(seen.at(-1)?.data.tokens).toBe(5);
		expect(seen.at(-2)?.data.finish_reason).toBe("length");
		expect(worker.requests.map(({ max_tokens }) => max_tokens)).toEqual([5, 2]);
	});

	it("gives the next attempt a seed derived from the job's seed and token count", async () => {
		const worker = fakeWorker(hangsBefore(4, { tokens: words(9) }));
		await seamed({ sampling: { temperature: 1, seed: 42 } });
		expect(worker.requests.map(({ seed }) => seed)).toEqual([
			42,
			attemptSeed(42, 4),
		]);
	});
});
