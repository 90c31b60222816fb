import { describe, expect, it } from "vitest";
import { measures } from "../../src/job/measures.ts";
import type { JobChange, JobState } from "../../src/job/state.ts";

const CREATED = Date.parse("2026-11-23T10:00:00Z");
const spec = { model: "nano", createdAt: "2026-11-23T10:00:00Z" };
const state = (part: Partial<JobState>) => part as JobState;
const WAITING = state({ phase: "waiting", startedAt: null });
const RUNNING = state({ phase: "running", startedAt: CREATED });
const BACKOFF = state({ phase: "backoff", startedAt: CREATED });
const SETTLING = state({ phase: "settling", startedAt: CREATED });

/** Names with what tells them apart, and values. */
const told = (
	before: { state: JobState; tokens: number },
	after: { state: JobState; tokens: number },
	change: JobChange | null,
	now = CREATED + 2_500,
) =>
	measures(spec, before, after, change, now).map(({ name, labels, value }) => {
		const { model, ...others } = labels as Record<string, string>;
		expect(model).toBe("nano");
		return [name, ...Object.values(others), value];
	});
const failed = (code: string, retry = true): JobChange => ({
	type: "failed",
	error: { code, message: "" },
	retry,
	tokens: 0,
	random: 0,
});
const cancel: JobChange = { type: "cancel" };
const lease = { epoch: 1, url: "", digest: "", running: 1 };

describe("what is counted of a job", () => {
	it("is its wait, once, when it first gets a slot", () => {
		const granted: JobChange = { type: "granted", lease };
		const running = { state: RUNNING, tokens: 0 };
		expect(told({ state: WAITING, tokens: 0 }, running, granted)).toEqual([
			["queue_seconds", 2.5],
		]);
		const again = state({ phase: "waiting", startedAt: CREATED });
		expect(told({ state: again, tokens: 0 }, running, granted)).toEqual([]);
	});

	it("is the time of its first token, in the middle of an attempt or with its end, and of no other", () => {
		const at = (tokens: number) => ({ state: RUNNING, tokens });
		expect(told(at(0), at(3), null)).toEqual([["first_token_seconds", 2.5]]);
		expect(told(at(3), at(5), null)).toEqual([]);
		expect(
			told(
				at(0),
				{ state: SETTLING, tokens: 2 },
				{ type: "finished", reason: "stop" },
			),
		).toEqual([
			["first_token_seconds", 2.5],
			["attempts_total", "finished", 1],
		]);
	});

	it.each<[string, JobState, JobChange, string]>([
		[
			"a failure that is tried again",
			BACKOFF,
			failed("overloaded"),
			"overloaded",
		],
		[
			"a failure that is not",
			SETTLING,
			failed("image_undecodable", false),
			"image_undecodable",
		],
		[
			"a failure that nobody has heard of",
			BACKOFF,
			failed("my prompt"),
			"other",
		],
		[
			"a restart",
			BACKOFF,
			{ type: "interrupted", tokens: 0, random: 0 },
			"interrupted",
		],
		["a cancel", SETTLING, cancel, "canceled"],
		["a deadline", SETTLING, { type: "time" }, "canceled"],
	])("is each attempt by its end: %s", (_, after, change, ending) => {
		const running = { state: RUNNING, tokens: 0 };
		expect(told(running, { state: after, tokens: 0 }, change)).toEqual([
			["attempts_total", ending, 1],
		]);
		// None was in progress.
		for (const before of [WAITING, BACKOFF])
			expect(
				told({ state: before, tokens: 0 }, { state: after, tokens: 0 }, change),
			).toEqual([]);
	});

	it("is a seam where an answer goes on that was begun to be shown", () => {
		const shown = (state: JobState) => ({ state, tokens: 4 });
		const seam: JobChange = { type: "seam", tokens: 4, random: 0 };
		expect(told(shown(RUNNING), shown(RUNNING), seam)).toEqual([
			["attempts_total", "seam", 1],
			["seams_total", "true", 1],
		]);
		expect(told(shown(RUNNING), shown(BACKOFF), failed("silent"))).toEqual([
			["attempts_total", "silent", 1],
			["seams_total", "false", 1],
		]);
		expect(told(shown(RUNNING), shown(SETTLING), failed("silent"))).toEqual([
			["attempts_total", "silent", 1],
		]);
	});

	it("is its end once it is settled: status, tokens, and how long the account took", () => {
		const ended = state({
			phase: "finished",
			status: "failed",
			finishedAt: CREATED + 1_000,
			promptTokens: 12,
		});
		const settlement = { price: 0, status: "failed" } as never;
		expect(
			told(
				{ state: SETTLING, tokens: 7 },
				{ state: ended, tokens: 7 },
				{ type: "settled", settlement },
			),
		).toEqual([
			["jobs_total", "failed", 1],
			["settle_lag_seconds", 1.5],
			["tokens_total", "prompt", 12],
			["tokens_total", "output", 7],
		]);
	});

	it("is nothing where nothing of this happened", () => {
		const waiting = { state: WAITING, tokens: 0 };
		expect(told(waiting, waiting, { type: "reader_joined" })).toEqual([]);
		expect(told(waiting, { state: SETTLING, tokens: 0 }, cancel)).toEqual([]);
	});
});
