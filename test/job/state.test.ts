import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	alarmAt,
	claimed,
	decide,
	type JobChange,
	type JobState,
	MAX_FAILURES,
} from "../../src/job/state.ts";

const lease = { epoch: 1, url: "http://w", digest: "d", running: 1 };
const error = { code: "engine_failed", message: "" };
const settlement = { price: 5, balance: 1, settledAt: "" };
const granted: JobChange = { type: "granted", lease };
const broken = (tokens: number): JobChange => ({
	type: "failed",
	error,
	retry: true,
	tokens,
	random: 0.5,
});

const tokens = fc.nat(20);
const random = fc.double({ min: 0, max: 0.99, noNaN: true });
const change: fc.Arbitrary<JobChange> = fc.oneof(
	fc.constant<JobChange>({ type: "provisioning" }),
	fc.constant(granted),
	fc.record({
		type: fc.constant("failed" as const),
		error: fc.constant(error),
		retry: fc.boolean(),
		tokens,
		random,
	}),
	fc.record({ type: fc.constant("interrupted" as const), tokens }),
	fc.record({ type: fc.constant("seam" as const), tokens, random }),
	fc.constant<JobChange>({ type: "retry" }),
	fc.constantFrom<JobChange>(
		{ type: "finished", reason: "stop" },
		{ type: "finished", reason: "length" },
	),
	fc.constant<JobChange>({ type: "settled", settlement }),
);

/** Every state on the way, an hour between any two changes. */
function live(changes: JobChange[]): JobState[] {
	const states: JobState[] = [claimed];
	changes.forEach((each, hour) => {
		const decided = decide(states.at(-1) as JobState, each, hour * 3_600_000);
		if (decided) states.push(decided.state);
	});
	return states;
}

/** An attempt that fails with so many tokens in the log, and the wait after it. */
function failOnce(from: JobState, tokens: number): JobState {
	let state = from;
	for (const each of [granted, broken(tokens)])
		state = decide(state, each, 0)?.state ?? state;
	return decide(state, { type: "retry" }, 3_600_000)?.state ?? state;
}

describe("a job's life", () => {
	it("has one outcome, decided before it is settled and never changed", () => {
		fc.assert(
			fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
				const states = live(changes);
				const outcomes = new Set(
					states.map((s) => s.outcome).filter((o) => o !== null),
				);
				expect(outcomes.size).toBeLessThanOrEqual(1);
				for (const s of states) {
					expect(s.outcome !== null).toBe(
						s.phase === "settling" || s.phase === "finished",
					);
					expect(s.settlement !== null).toBe(s.phase === "finished");
					expect(s.lease !== null).toBe(s.phase === "running");
				}
			}),
		);
	});

	it("always has an alarm ahead until it is finished, and then none", () => {
		fc.assert(
			fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
				for (const s of live(changes))
					expect(alarmAt(s, 0) === null).toBe(s.phase === "finished");
			}),
		);
	});

	it("ends after too many attempts without a new token, at the price of none", () => {
		let state = claimed;
		for (let n = 1; n <= MAX_FAILURES; n++) {
			expect(state.phase).toBe("waiting");
			// The first failure came with tokens, the others brought no more.
			state = failOnce(state, 3);
		}
		expect(state).toMatchObject({
			phase: "settling",
			outcome: "failed",
			error: { code: "backend_failed" },
		});
	});

	it("may fail any number of times while each attempt brings tokens", () => {
		let state = claimed;
		for (let n = 1; n <= 50; n++) state = failOnce(state, n);
		expect(state).toMatchObject({ phase: "waiting", failures: 1 });
	});

	it("waits longer after each failure, spread at random, half a minute at most", () => {
		let state = claimed;
		const waits: number[] = [];
		for (let n = 1; n < MAX_FAILURES; n++) {
			state = decide(state, granted, 0)?.state ?? state;
			state = decide(state, broken(0), 0)?.state ?? state;
			waits.push(state.retryAt ?? 0);
			expect(decide(state, { type: "retry" }, waits.at(-1) as number)).not.toBe(
				null,
			);
			expect(decide(state, { type: "retry" }, (waits.at(-1) ?? 0) - 1)).toBe(
				null,
			);
			state = decide(state, { type: "retry" }, 1e9)?.state ?? state;
		}
		expect(waits).toEqual([...waits].sort((a, b) => a - b));
		expect(waits.at(-1)).toBeLessThanOrEqual(30_000);
		expect(waits[0]).toBe(375);
	});

	it("stays `running` to readers while a later attempt waits for a slot", () => {
		let state = decide(claimed, granted, 0)?.state as JobState;
		state = decide(state, broken(1), 0)?.state as JobState;
		state = decide(state, { type: "retry" }, 1e6)?.state as JobState;
		expect(state.status).toBe("running");
		expect(decide(state, granted, 0)?.log).toEqual([]);
	});
});
