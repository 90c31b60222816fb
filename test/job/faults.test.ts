/** Every fault of the fake worker, on the real objects, checked by all invariants. */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { GpuWorker } from "../../src/backends/worker.ts";
import { config } from "../../src/env.ts";
import type { Job } from "../../src/job/job.ts";
import { bindings } from "../support/account.ts";
import { eventually } from "../support/eventually.ts";
import {
	FAULT_NAMES,
	FAULTS,
	type FaultKind,
	type FaultName,
} from "../support/fake-worker-faults.ts";
import { gather } from "../support/gather-objects.ts";
import { told, violations } from "../support/invariants.ts";
import {
	admittedJob,
	events,
	fakeWorker,
	left,
	money,
	paid,
	textOf,
} from "../support/jobs.ts";

const TOKENS = ["The", " cat", " is", " über", " dem", " 😀", "", " Dach", "."];
const WHOLE = TOKENS.join("");
const SILENCE_MS = 150;

interface Case {
	promise: string;
	/** The reasons of the attempts after the first; none by default. */
	retries?: string[];
	/** Without it the answer is whole and paid for. */
	failed?: { code: string; shows: string };
	maxTokens?: number;
}

const whole = (reason: string): Case => ({
	promise: "another attempt gives the answer, and one is paid for",
	retries: [reason],
});
const seam = (reason: string): Case => ({
	promise:
		"another attempt continues from the ids in the log: nothing is lost, repeated or changed",
	retries: [reason],
});
const unbilled = (code: string, shows: string, retries?: string[]): Case => ({
	promise:
		"an answer that may be wrong is not billed: the job fails, at price 0",
	failed: { code, shows },
	...(retries && { retries }),
});

const cases: Record<FaultName, Case> = {
	"is overloaded": whole("overloaded"),
	"is starting": whole("starting"),
	"is draining": whole("draining"),
	"has an engine that failed": whole("engine_failed"),
	"cannot fetch an image": whole("image_unavailable"),
	"refuses the key": whole("unauthorized"),
	"serves another model": whole("model_not_found"),
	"calls the request wrong": {
		promise: "an invalid request fails at once and costs nothing",
		failed: { code: "invalid_request", shows: "" },
	},
	"loses its engine mid-answer": seam("engine_failed"),
	"drains mid-answer": seam("draining"),
	"is not there": whole("unreachable"),
	"dies before the first token": whole("broken_stream"),
	"dies mid-answer": seam("broken_stream"),
	"never answers": whole("silent"),
	"falls silent before the first token": whole("silent"),
	"falls silent mid-answer": seam("silent"),
	"pings on and says nothing": seam("silent"),
	"dies after some bytes": seam("broken_stream"),
	"dies inside a character": seam("broken_stream"),
	"ends its stream after some bytes": seam("broken_stream"),
	"ends its stream inside a character": seam("broken_stream"),
	"is slow": { promise: "a slow worker may finish" },
	"repeats an event": seam("broken_stream"),
	"drops an event": seam("broken_stream"),
	"counts too many tokens": unbilled("backend_failed", WHOLE),
	"counts too few tokens": unbilled("backend_failed", WHOLE),
	"sends more tokens than asked": {
		...unbilled("backend_failed", TOKENS.slice(0, 5).join("")),
		maxTokens: 5,
	},
	"sends ids that are none": seam("broken_stream"),
	"sends ids of another text": unbilled("invalid_request", "The cat is über", [
		"broken_stream",
	]),
	"ends without `done`": {
		promise: "an end without `done` is retried",
		retries: ["broken_stream"],
	},
	"sends data that is not JSON": seam("broken_stream"),
	"sends events of its own": {
		promise: "events of a newer protocol are ignored",
	},
	"sends bytes that swallow an event": seam("broken_stream"),
	"is hidden by an error page": whole("unreachable"),
	"is hidden by a page that says 200": whole("broken_stream"),
};

describe("a worker that", () => {
	it.each([
		...FAULT_NAMES.map((name) => [name, cases[name].promise, cases[name]]),
		[
			"repeats an event",
			"nor does a repeat fill the token budget",
			{ ...seam("broken_stream"), maxTokens: 5 },
		],
	] as [FaultName, string, Case][])(
		"%s: %s",
		async (name, _, { retries = [], failed, maxTokens = 300 }) => {
			const worker = fakeWorker({
				tokens: TOKENS,
				every: 4,
				faults: { 1: FAULTS[name] },
			});
			worker.pingEvery = SILENCE_MS / 4;
			const job = await admittedJob({ sampling: { max_tokens: maxTokens } });
			await runInDurableObject(job.stub(), (object: Job) => {
				object.random = () => 0;
				object.backend = (model, { url }) => {
					const { workers = [] } = config(bindings).models.get(model) ?? {};
					const address = workers.find((each) => each.url === url);
					if (!address || "replicate" in address)
						throw new Error(`nothing at ${url}`);
					return new GpuWorker(address, SILENCE_MS, 2 * SILENCE_MS);
				};
			});
			await job.stub().start(job.spec);
			const [seen, watched] = await Promise.all([events(job), events(job)]);
			const rest = await events(job, 2);

			const reasons = seen
				.filter(({ type }) => type === "job.retrying")
				.map(({ data }) => data.reason);
			expect(reasons).toEqual(retries);
			const text = failed ? failed.shows : TOKENS.slice(0, maxTokens).join("");
			expect(textOf(seen)).toBe(text);
			expect(seen.at(-2)?.data).toMatchObject(
				failed
					? { status: "failed", price: 0, error: { code: failed.code } }
					: {
							status: "succeeded",
							...paid(Math.min(TOKENS.length, maxTokens)),
						},
			);
			expect(await money(job.account)).toEqual(
				failed
					? { available: 1_000_000, held: 0 }
					: left(Math.min(TOKENS.length, maxTokens)),
			);
			const expected = {
				account: job.account.id,
				name,
				ids: [job.id],
				text: failed ? null : text,
				ends: [failed ? "failed" : "succeeded"],
			};
			await eventually(async () => {
				const found = violations(
					await gather(
						[job],
						[
							{ job, seen },
							{ job, seen: watched },
							{ job, after: 2, seen: rest },
						],
						[expected],
					),
				);
				expect(found.map(told)).toEqual([]);
			});
			await eventually(() => expect(worker.running).toBe(0));
		},
	);

	it("fails in any way that the fake worker can play has its test above", () => {
		expect(Object.keys(cases).sort()).toEqual([...FAULT_NAMES].sort());
		// Each kind of fault is played at least once. The compiler checks that this list is complete.
		const kinds: Record<FaultKind, true> = {
			error: true,
			break: true,
			mute: true,
			silent: true,
			cut: true,
			slow: true,
			twice: true,
			lost: true,
			miscount: true,
			excess: true,
			ids: true,
			unfinished: true,
			garbage: true,
			page: true,
		};
		const played = new Set(Object.values(FAULTS).flatMap(Object.keys));
		expect(Object.keys(kinds).filter((kind) => !played.has(kind))).toEqual([]);
	});
});
