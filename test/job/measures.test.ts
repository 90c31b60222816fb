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

/** Each measurement as its name, its labels but `model`, and its value. */
const measured = (
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

describe("the metrics of a job", () => {
	it("count its wait once, when it first gets a slot", () => {
		const granted: JobChange = { type: "granted", lease };
		const running = { state: RUNNING, tokens: 0 };
		expect(measured({ state: WAITING, tokens: 0 }, running, granted)).toEqual([
			["queue_seconds", 2.5],
		]);
		const again = state({ phase: "waiting", startedAt: CREATED });
		expect(measured({ state: again, tokens: 0 }, running, granted)).toEqual([]);
	});

	it("have the time of its first token alone, in the middle of an attempt or at its end", () => {
		const at = (tokens: number) => ({ state: RUNNING, tokens });
		expect(measured(at(0), at(3), null)).toEqual([
			["first_token_seconds", 2.5],
		]);
		expect(measured(at(3), at(5), null)).toEqual([]);
		expect(
			measured(
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
		["a failure that is retried", BACKOFF, failed("overloaded"), "overloaded"],
		[
			"a failure that is not",
			SETTLING,
			failed("image_undecodable", false),
			"image_undecodable",
		],
		[
			"a failure without a label of its own",
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
	])("count each attempt by its end: %s", (_, after, change, ending) => {
		const running = { state: RUNNING, tokens: 0 };
		expect(measured(running, { state: after, tokens: 0 }, change)).toEqual([
			["attempts_total", ending, 1],
		]);
		// No attempt was in progress.
		for (const before of [WAITING, BACKOFF])
			expect(
				measured(
					{ state: before, tokens: 0 },
					{ state: after, tokens: 0 },
					change,
				),
			).toEqual([]);
	});

	it("count a seam where an attempt continues an answer that readers have begun to see", () => {
		const shown = (state: JobState) => ({ state, tokens: 4 });
		const seam: JobChange = { type: "seam", tokens: 4, random: 0 };
		expect(measured(shown(RUNNING), shown(RUNNING), seam)).toEqual([
			["attempts_total", "seam", 1],
			["seams_total", "true", 1],
		]);
		expect(measured(shown(RUNNING), shown(BACKOFF), failed("silent"))).toEqual([
			["attempts_total", "silent", 1],
			["seams_total", "false", 1],
		]);
		expect(measured(shown(RUNNING), shown(SETTLING), failed("silent"))).toEqual(
			[["attempts_total", "silent", 1]],
		);
	});

	it("count its end once it is settled: status, tokens, and the time to settle", () => {
		const ended = state({
			phase: "finished",
			status: "failed",
			finishedAt: CREATED + 1_000,
			promptTokens: 12,
		});
		const settlement = { price: 0, status: "failed" } as never;
		expect(
			measured(
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

	it("are none where none of this happened", () => {
		const waiting = { state: WAITING, tokens: 0 };
		expect(measured(waiting, waiting, { type: "reader_joined" })).toEqual([]);
		expect(measured(waiting, { state: SETTLING, tokens: 0 }, cancel)).toEqual(
			[],
		);
	});
});
