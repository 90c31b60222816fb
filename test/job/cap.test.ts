/** A job never costs more than its cap, and nothing is left that would have paid a token more. */
import {
	evictDurableObject,
	runDurableObjectAlarm,
	runInDurableObject,
} from "cloudflare:test";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JobView } from "../../src/contract/job.ts";
import type { Job } from "../../src/job/job.ts";
import { billOf, priceOf } from "../../src/pricing/bill.ts";
import type { Prices } from "../../src/pricing/prices.ts";
import { bindings } from "../support/account.ts";
import { eventually } from "../support/eventually.ts";
import { FAULTS } from "../support/fake-worker-faults.ts";
import {
	events,
	fakeWorker,
	startedJob,
	type TestJob,
	textOf,
	words,
} from "../support/jobs.ts";
import { ONE_EACH, oneEach, ratesFor } from "../support/prices.ts";

const TASK = "Write a story.";
const pool = () => bindings.POOL.get(bindings.POOL.idFromName("nano"));

const kill = (job: TestJob): Promise<void> =>
	runInDurableObject(job.stub(), (_, state) => state.abort("killed")).catch(
		() => {},
	);

const viewOf = async (job: TestJob): Promise<JobView> =>
	(await job.stub().view()) as JobView;

/** Fires the job's alarms ahead of time until it ends; no deadline passes. */
async function ended(job: TestJob): Promise<JobView> {
	for (let ahead = 0; ; ahead = Math.min(ahead + 60_000, 1_800_000)) {
		const view = await viewOf(job);
		if (view.finishedAt) return view;
		await runInDurableObject(job.stub(), (object: Job) => {
			object.clock = () => Date.now() + ahead;
		}).catch(() => {});
		await runDurableObjectAlarm(job.stub()).catch(() => {});
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
}

const history = fc.record({
	rates: ratesFor(5_000_000),
	prompt: fc.integer({ min: 1, max: 40 }),
	tokens: fc.integer({ min: 1, max: 30 }),
	group: fc.integer({ min: 1, max: 3 }),
	maxTokens: fc.integer({ min: 1, max: 40 }),
	/** Of what the whole answer would cost. */
	share: fc.integer({ min: 40, max: 120 }),
	faults: fc.array(
		fc.option(
			fc.constantFrom(
				FAULTS["dies mid-answer"],
				FAULTS["dies before the first token"],
				FAULTS["loses its engine mid-answer"],
				FAULTS["is not there"],
			),
		),
		{ maxLength: 3 },
	),
	/** After how many tokens the object dies. */
	deaths: fc.array(fc.nat(20), { maxLength: 2 }),
	describes: fc.boolean(),
});

describe("a job with a cap", () => {
	it("never exceeds it, and ends where one token more would, whatever dies meanwhile", async () => {
		const seen = new Set<string>();

		await fc.assert(
			fc.asyncProperty(history, async (history) => {
				const { rates, group, maxTokens, describes } = history;
				// The Pool must not remember the failures of the runs before.
				await evictDurableObject(pool()).catch(() => {});
				const faults = Object.fromEntries(
					history.faults.flatMap((fault, n) => (fault ? [[n + 1, fault]] : [])),
				);
				fakeWorker((prompt) => ({
					tokens:
						describes && !prompt.includes(TASK)
							? words(12, 500)
							: words(history.tokens),
					group,
					every: 2,
					faults,
				}));
				const prices: Prices = { version: "any", rates };
				const price = (prompt_tokens: number, output_tokens: number) =>
					priceOf(rates, { prompt_tokens, output_tokens, images: 0 });
				const maxPrice = Math.floor(
					(history.share / 100) * price(history.prompt, history.tokens + 1),
				);
				const job = await startedJob({
					prompt: "x".repeat(history.prompt),
					followUp: describes ? TASK : null,
					prices,
					maxPrice,
					sampling: { max_tokens: maxTokens },
				});
				const reading = events(job);
				for (const at of history.deaths) {
					await eventually(
						async () => {
							const view = await viewOf(job);
							if (!view.finishedAt)
								expect(view.outputTokens).toBeGreaterThanOrEqual(
									Math.min(at, 1),
								);
						},
						{ interval: 5 },
					);
					await kill(job);
				}
				const view = await ended(job);
				const read = await reading;
				expect(textOf(read)).toBe(view.text);
				seen.add(view.finishReason ?? view.error?.code ?? view.status);
				const prompt = view.promptTokens ?? 0;
				if (view.status === "failed") {
					expect(view).toMatchObject({
						error: { code: "max_price_too_low", field: "max_price" },
						outputTokens: 0,
						price: 0,
						priceParts: [],
					});
					expect(price(history.prompt, 1)).toBeGreaterThan(maxPrice);
					return;
				}
				expect(view.status).toBe("succeeded");
				const bill = billOf(rates, {
					prompt_tokens: prompt,
					output_tokens: view.outputTokens,
					images: 0,
				});
				expect([view.price, view.priceParts]).toEqual([bill.price, bill.parts]);
				expect(view.price).toBeLessThanOrEqual(maxPrice);
				expect(view.outputTokens).toBeLessThanOrEqual(maxTokens);
				if (view.finishReason !== "budget") return;
				// The answer's turn reads a prompt of its own, which may be what is too dear.
				const next =
					describes && view.text === ""
						? history.prompt +
							(view.description ?? "").trim().length +
							TASK.length
						: prompt;
				expect(price(next, view.outputTokens + 1)).toBeGreaterThan(maxPrice);
			}),
			{ numRuns: 60 },
		);
		expect([...seen].sort()).toEqual([
			"budget",
			"length",
			"max_price_too_low",
			"stop",
		]);
	}, 240_000);

	it("asks for no token more than the cap pays, once the prompt is counted", async () => {
		const worker = fakeWorker({ tokens: words(20) });
		const job = await startedJob({ maxPrice: 13 + 5 });
		const read = await events(job);
		expect(textOf(read)).toBe(words(5).join(""));
		expect(read.at(-2)?.data).toMatchObject({
			status: "succeeded",
			finish_reason: "budget",
			...oneEach({ prompt_tokens: 13, output_tokens: 5 }),
		});
		expect(worker.requests.map(({ max_tokens }) => max_tokens)).toEqual([
			18, 5,
		]);
		// The prompt is not written anew: with another `max_tokens` it might become another one.
		expect(worker.requests[1]).toMatchObject({ committed_token_ids: [] });
		expect(worker.requests[1]?.prompt_token_ids).toHaveLength(13);
		expect(worker.requests[1]?.messages).toBeUndefined();
	});

	it("asks once where the cap pays all that it may write", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const job = await startedJob({ maxPrice: 13 + 300 });
		expect((await events(job)).at(-2)?.data).toMatchObject({
			finish_reason: "stop",
		});
		expect(worker.requests.map(({ max_tokens }) => max_tokens)).toEqual([300]);
	});

	it("continues under the same cap after a worker died", async () => {
		const worker = fakeWorker({
			tokens: words(20),
			faults: { 1: { break: true, after: 3 } },
		});
		const job = await startedJob({ maxPrice: 13 + 5 });
		expect(textOf(await events(job))).toBe(words(5).join(""));
		expect(worker.requests.at(-1)?.max_tokens).toBe(2);
	});

	it("keeps the prices under which it was admitted", async () => {
		fakeWorker({ tokens: words(4) });
		const prices = {
			...ONE_EACH,
			rates: { prompt_tokens: 0, output_tokens: 2_500_000, images: 0 },
		};
		const job = await startedJob({ prices });
		await events(job);
		expect(await viewOf(job)).toMatchObject({
			price: 10,
			priceVersion: "test",
		});
	});

	it("that pays no token after the prompt fails, free, and says what would", async () => {
		fakeWorker({ tokens: words(4) });
		const job = await startedJob({ maxPrice: 13 });
		expect((await events(job)).at(-2)?.data).toMatchObject({
			status: "failed",
			price: 0,
			price_parts: [],
			error: {
				code: "max_price_too_low",
				field: "max_price",
				message: expect.stringContaining("needs at least 14"),
			},
		});
	});

	it("that pays a description and no answer over it keeps the description", async () => {
		fakeWorker((prompt) => ({
			tokens: prompt.includes(TASK) ? words(9) : words(2, 500),
		}));
		const job = await startedJob({ followUp: TASK, maxPrice: 13 + 6 });
		const read = await events(job);
		expect(read.at(-2)?.data).toMatchObject({
			status: "succeeded",
			finish_reason: "budget",
			...oneEach({ prompt_tokens: 13, output_tokens: 2 }),
		});
		expect(await viewOf(job)).toMatchObject({
			description: words(2, 500).join(""),
			text: "",
		});
	});
});
