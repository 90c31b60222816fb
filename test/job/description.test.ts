/** A job that describes the images before it answers: two turns, one log, one price. */
import { runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FIRST_ID, type Script } from "../support/fake-worker.ts";
import {
	events,
	fakeWorker,
	gate,
	money,
	type Read,
	startedJob,
	type TestJob,
	textOf,
	types,
	words,
} from "../support/jobs.ts";

const TASK = "Write a story.";
const SEEN = words(6);
const STORY = words(20, 100);

/** A worker that describes, and writes the story over its description. */
const storyteller = (extra: Partial<Script> = {}) =>
	fakeWorker((prompt) => ({
		...extra,
		tokens: prompt.includes(TASK) ? STORY : SEEN,
	}));

const start = (part: Parameters<typeof startedJob>[0] = {}) =>
	startedJob({ followUp: TASK, prompt: "Describe it.", ...part });

/** Aborts the object, as a crash does: what is not committed is lost. */
const kill = (job: TestJob) =>
	runInDurableObject(job.stub(), (_, state) => state.abort("killed")).catch(
		() => {},
	);

const descriptionOf = (read: Read[]): string =>
	read
		.filter(({ type }) => type === "description")
		.map(({ data }) => data.text)
		.join("");

/** The prompt of the answer's turn is paid, in which the description is read again. */
const priceOf = (outputTokens: number): number =>
	["Describe it.", SEEN.join("").trim(), TASK].join("").length + outputTokens;

const view = async (job: TestJob) => {
	const seen = await job.stub().view();
	if (!seen) throw new Error("no job");
	return seen;
};

describe("a job that describes first", () => {
	it("writes the description, then the answer over it, and settles once", async () => {
		const worker = storyteller();
		const job = await start();
		const read = await events(job);
		expect(types(read)).toEqual([
			"job.queued",
			"job.running",
			"description",
			"token",
			"usage",
			"job.succeeded",
			"done",
		]);
		expect(descriptionOf(read)).toBe(SEEN.join(""));
		expect(textOf(read)).toBe(STORY.join(""));
		expect(worker.requests.map(({ messages }) => messages)).toEqual([
			job.spec.messages,
			[
				...job.spec.messages,
				{
					role: "assistant",
					content: [{ type: "text", text: SEEN.join("").trim() }],
				},
				{ role: "user", content: [{ type: "text", text: TASK }] },
			],
		]);
		const { description, text, outputTokens, status } = await view(job);
		expect({ description, text, outputTokens, status }).toEqual({
			description: SEEN.join(""),
			text: STORY.join(""),
			outputTokens: SEEN.length + STORY.length,
			status: "succeeded",
		});
		expect(read.at(-1)?.data.tokens).toBe(SEEN.length + STORY.length);
		expect((await money(job.account)).held).toBe(0);
	});

	it("describes greedily and without the answer's stop strings", async () => {
		const worker = storyteller();
		const sampling = {
			temperature: 1.5,
			top_p: 0.3,
			stop: ["word3", "word105"],
		};
		const read = await events(await start({ sampling }));
		expect(descriptionOf(read)).toBe(SEEN.join(""));
		expect(textOf(read)).toBe(`${words(5, 100).join("")} `);
		expect(
			worker.requests.map(({ temperature, top_p }) => ({ temperature, top_p })),
		).toEqual([
			{ temperature: 0, top_p: 1 },
			{ temperature: 1.5, top_p: 0.3 },
		]);
	});

	it("never exceeds `max_tokens` with both turns together", async () => {
		await fc.assert(
			fc.asyncProperty(fc.integer({ min: 1, max: 30 }), async (max_tokens) => {
				storyteller();
				const job = await start({ sampling: { max_tokens } });
				const read = await events(job);
				const seen = Math.min(SEEN.length, Math.floor(max_tokens / 2));
				const told = Math.min(STORY.length, max_tokens - seen);
				expect(descriptionOf(read)).toBe(SEEN.slice(0, seen).join(""));
				expect(textOf(read)).toBe(STORY.slice(0, told).join(""));
				expect((await view(job)).outputTokens).toBe(seen + told);
			}),
			{ numRuns: 12 },
		);
	});

	it("continues either turn from its own tokens after a worker broke", async () => {
		for (const [attempt, after, turn] of [
			[1, 2, "description"],
			[2, 4, "answer"],
		] as const) {
			const worker = storyteller({
				faults: { [attempt]: { break: true, after } },
			});
			const read = await events(await start());
			expect(descriptionOf(read)).toBe(SEEN.join(""));
			expect(textOf(read)).toBe(STORY.join(""));
			const resumed = worker.requests[attempt];
			expect(resumed?.committed_token_ids, turn).toEqual(
				Array.from({ length: after }, (_, n) => FIRST_ID + n),
			);
			expect(worker.requests).toHaveLength(3);
		}
	});

	it("at any token of either turn survives the death of its object", async () => {
		storyteller({ every: 15 });
		const job = await start();
		const reading = events(job);
		for (const tokens of [2, 5, 7, 12, 20]) {
			await expect
				.poll(async () => (await view(job)).outputTokens, { interval: 5 })
				.toBeGreaterThanOrEqual(tokens);
			await kill(job);
		}
		const read = await reading;
		expect(descriptionOf(read)).toBe(SEEN.join(""));
		expect(textOf(read)).toBe(STORY.join(""));
		expect(read.map(({ seq }) => seq)).toEqual(read.map((_, n) => n + 1));
		expect(await money(job.account)).toEqual({
			available: 1_000_000 - priceOf(SEEN.length + STORY.length),
			held: 0,
		});
	});

	it("asks about the images themselves where the model describes nothing", async () => {
		const worker = fakeWorker((prompt) => ({
			tokens: prompt.includes(TASK) ? STORY : [],
		}));
		const read = await events(await start());
		expect(descriptionOf(read)).toBe("");
		expect(textOf(read)).toBe(STORY.join(""));
		expect(worker.requests[1]?.messages).toEqual([
			{ role: "user", content: [{ type: "text", text: TASK }] },
		]);
	});

	it("that is canceled in its description pays for that, and can go on", async () => {
		const { opened, open } = gate();
		storyteller({ gate: (n) => (n === 3 ? opened : undefined) });
		const job = await start({ sampling: { max_tokens: 100 } });
		await events(job, 0, ({ type }) => type === "description");
		await job.stub().cancel();
		open();
		const read = await events(job);
		expect(textOf(read)).toBe("");
		const { status, outputTokens, price } = await view(job);
		expect(status).toBe("canceled");
		expect(outputTokens).toBeGreaterThan(0);
		expect(price).toBe("Describe it.".length + outputTokens);
		expect(await job.stub().transcript()).toEqual({
			messages: job.spec.messages,
			answer: descriptionOf(read),
		});
	});

	it("hands both turns to the job that continues it", async () => {
		storyteller();
		const job = await start();
		await events(job);
		const transcript = await job.stub().transcript();
		expect(transcript?.messages.map(({ role }) => role)).toEqual([
			"user",
			"assistant",
			"user",
		]);
		expect(transcript?.answer).toBe(STORY.join(""));
	});

	it("reads the same from a folded log", async () => {
		fakeWorker((prompt) => ({
			tokens: prompt.includes(TASK) ? words(60) : words(30, 200),
			every: 35,
		}));
		const job = await start();
		const first = await events(job);
		const before = await view(job);
		await kill(job);
		expect((await events(job)).map(({ raw }) => raw)).toEqual(
			first.map(({ raw }) => raw),
		);
		expect(await view(job)).toEqual(before);
	});
});
