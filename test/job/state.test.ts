import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { priceOf } from "../../src/account/ledger.ts";
import type { JobSpec } from "../../src/contract/job.ts";
import {
	alarmAt,
	type Deadlines,
	HEARTBEAT_MS,
	RECONNECT_MS,
	REPEAT_CALL_MS,
} from "../../src/job/due.ts";
import {
	initialState,
	isOpen,
	type JobChange,
	type JobState,
	MAX_FAILURES,
	MAX_INTERRUPTIONS,
	type TransitionEvent,
	transition,
} from "../../src/job/state.ts";
import type { Disconnect } from "../../src/stream/readers.ts";

const HOUR = 3_600_000;
const HOLD = 1_000;
const MAX_TOKENS = 40;
const lease = { epoch: 1, url: "http://w", digest: "d", running: 1 };
const error = { code: "engine_failed", message: "" };
const quantiles = { p50: 1, p90: 2 };
const place = {
	position: 3,
	eta: {
		start: quantiles,
		first_token: quantiles,
		finish: quantiles,
		cold: false,
	},
};
const endless: Deadlines = {
	startBy: null,
	endBy: null,
	cancelAt: null,
	onDisconnect: "continue",
};
const born = (terms: Partial<Deadlines> = {}): JobState =>
	initialState({ ...endless, ...terms } as JobSpec, 0);
const granted: JobChange = { type: "granted", lease };
const time: JobChange = { type: "time" };
const cancel: JobChange = { type: "cancel" };
const broken = (tokens: number): JobChange => ({
	type: "failed",
	error,
	retry: true,
	tokens,
	random: 0.5,
});
const interrupted = (tokens: number): JobChange => ({
	type: "interrupted",
	tokens,
	random: 0.5,
});
const settled = (price: number): JobChange => ({
	type: "settled",
	settlement: { price, balance: 1, settledAt: "" },
});

/** The state after all of these at that time; those that change nothing are passed over. */
const lived = (
	state: JobState,
	now: number,
	...changes: JobChange[]
): JobState =>
	changes.reduce(
		(from, change) => transition(from, change, now)?.state ?? from,
		state,
	);

/** An attempt that fails with so many tokens in the log, and the wait after it. */
const failOnce = (from: JobState, tokens: number): JobState =>
	lived(lived(from, 0, granted, broken(tokens)), HOUR, time);

// Any order of anything, at any time: what the Pool, the backend, the callers, the clock and the alarm may do to a job.

type Step = { wait: number; add: number; make: (tokens: number) => JobChange };

const leaving: fc.Arbitrary<Disconnect> = fc.oneof(
	fc.constantFrom({ how: "satisfied" as const }, { how: "lost" as const }),
	fc.nat(90_000).map((ago) => ({ how: "hungUp" as const, ago })),
);
const change: fc.Arbitrary<Step["make"]> = fc.oneof(
	fc
		.constantFrom("queued" as const, "provisioning" as const)
		.map((answer) => () => ({ type: "placed", answer, place }) as JobChange),
	{ weight: 3, arbitrary: fc.constant(() => granted) },
	{
		weight: 3,
		arbitrary: fc
			.record({
				retry: fc.boolean(),
				random: fc.double({ min: 0, max: 0.99, noNaN: true }),
			})
			.map(
				(failure) => (tokens: number) =>
					({ type: "failed", error, tokens, ...failure }) as JobChange,
			),
	},
	fc
		.record({
			type: fc.constantFrom("interrupted" as const, "seam" as const),
			random: fc.double({ min: 0, max: 0.99, noNaN: true }),
		})
		.map((change) => (tokens: number) => ({ ...change, tokens })),
	fc
		.constantFrom("stop" as const, "length" as const)
		.map((reason) => () => ({ type: "finished", reason }) as JobChange),
	fc.constant(() => cancel),
	fc.constant(() => ({ type: "reader_joined" }) as JobChange),
	leaving.map((how) => (): JobChange => ({ type: "readers_left", ...how })),
	fc.constant(() => ({ type: "call_repeated" }) as JobChange),
	{ weight: 3, arbitrary: fc.constant(() => time) },
	{ weight: 3, arbitrary: fc.constant(() => settled(0)) },
);
const steps: fc.Arbitrary<Step[]> = fc.array(
	fc.record({
		wait: fc.oneof(fc.nat(1_000), fc.nat(60_000), fc.nat(HOUR)),
		add: fc.oneof(fc.constant(0), fc.nat(4)),
		make: change,
	}),
	{ maxLength: 80 },
);
const deadline = fc.option(fc.nat(4 * HOUR));
const terms: fc.Arbitrary<Deadlines> = fc.record({
	startBy: deadline,
	endBy: deadline,
	cancelAt: deadline,
	onDisconnect: fc.constantFrom("continue", "cancel"),
});

interface Moment {
	now: number;
	tokens: number;
	state: JobState;
	/** What the step before logged. */
	log: TransitionEvent[];
}

/** Every state on the way. Only a running attempt brings tokens; the account prices what it is told. */
function live(terms: Deadlines, steps: Step[]): Moment[] {
	const life: Moment[] = [{ now: 0, tokens: 0, state: born(terms), log: [] }];
	for (const { wait, add, make } of steps) {
		const before = life.at(-1) as Moment;
		const { state } = before;
		const now = before.now + wait;
		const room = MAX_TOKENS - before.tokens;
		const tokens =
			before.tokens + (state.phase === "running" ? Math.min(add, room) : 0);
		const made = make(tokens);
		const change =
			made.type === "settled" && state.outcome
				? settled(
						priceOf(
							{
								jobId: "j",
								status: state.outcome,
								outputTokens: tokens,
								maxTokens: MAX_TOKENS,
							},
							HOLD,
						),
					)
				: made;
		const decision = transition(state, change, now);
		life.push({
			now,
			tokens,
			state: decision?.state ?? state,
			log: decision?.events ?? [],
		});
	}
	return life;
}

const always = (check: (life: Moment[], terms: Deadlines) => void) =>
	fc.assert(
		fc.property(terms, steps, (terms, steps) =>
			check(live(terms, steps), terms),
		),
		{ numRuns: 500 },
	);

describe("a job's life, in whatever order things happen,", () => {
	it("has one outcome, decided before it is settled and never changed", () => {
		always((life) => {
			const outcomes = new Set(
				life.map(({ state }) => state.outcome).filter((o) => o !== null),
			);
			expect(outcomes.size).toBeLessThanOrEqual(1);
			for (const { state } of life) {
				expect(state.outcome !== null).toBe(!isOpen(state));
				expect(state.settlement !== null).toBe(state.phase === "finished");
				expect(state.lease !== null).toBe(state.phase === "running");
			}
		});
	});

	it("tells its end once, settles once, and nothing after it", () => {
		always((life) => {
			const terminal = life.filter(
				({ state, log }) =>
					state.phase === "finished" && log.some((l) => l.type === "state"),
			);
			const end = life.findIndex(({ state }) => state.phase === "finished");
			expect(terminal).toHaveLength(end < 0 ? 0 : 1);
			if (end < 0) return;
			expect(terminal[0]).toBe(life[end]);
			for (const late of life.slice(end + 1)) {
				expect(late.log).toEqual([]);
				expect(late.state).toBe(life[end]?.state);
			}
		});
	});

	it("costs nothing unless it succeeded, or was canceled with tokens; never more than was held", () => {
		always((life) => {
			const { state, tokens } = life.at(-1) as Moment;
			const price = state.settlement?.price;
			if (price === undefined) return;
			const free =
				state.status === "failed" ||
				state.status === "expired" ||
				(state.status === "canceled" && tokens === 0);
			expect(price === 0).toBe(free);
			expect(price).toBeLessThanOrEqual(HOLD);
		});
	});

	it("begins no more attempts than its tokens and its failures allow", () => {
		always((life) => {
			for (const { state, tokens } of life)
				expect(state.attempts).toBeLessThanOrEqual(
					(MAX_FAILURES + MAX_INTERRUPTIONS) * (tokens + 1),
				);
		});
	});

	it("always has an alarm ahead until it is finished, and then none", () => {
		always((life) => {
			for (const { state, now } of life)
				expect(alarmAt(state, now) === null).toBe(state.phase === "finished");
		});
	});

	it("does all that is due at once, and then sleeps until later", () => {
		always((life) => {
			for (const { state, now } of life) {
				let times = 0;
				let rested = state;
				for (
					let decision = transition(rested, time, now);
					decision;
					decision = transition(rested, time, now)
				) {
					rested = decision.state;
					expect(++times).toBeLessThanOrEqual(2);
				}
				if (rested.phase !== "finished")
					expect(alarmAt(rested, now)).toBeGreaterThan(now);
			}
		});
	});

	it("goes forward in time, and its alarm is never later than its deadlines", () => {
		always((life, { startBy, endBy, cancelAt }) => {
			for (const { state, now } of life) {
				const { startedAt, finishedAt, since } = state;
				expect(since).toBeLessThanOrEqual(now);
				expect(startedAt ?? 0).toBeLessThanOrEqual(finishedAt ?? now);
				if (!isOpen(state)) continue;
				const alarm = alarmAt(state, now) as number;
				for (const at of [endBy, cancelAt, startedAt ? null : startBy])
					expect(alarm).toBeLessThanOrEqual(at ?? alarm);
			}
		});
	});

	it("counts tokens and attempts that only grow", () => {
		always((life) => {
			life.slice(1).forEach(({ state }, n) => {
				const before = (life[n] as Moment).state;
				expect(state.tokensBefore).toBeGreaterThanOrEqual(before.tokensBefore);
				expect(state.attempts - before.attempts).toBeGreaterThanOrEqual(0);
				expect(state.attempts - before.attempts).toBeLessThanOrEqual(1);
			});
		});
	});

	it("does not start after its time to start, nor ends by its deadline before it", () => {
		always((life, { startBy, endBy }) => {
			for (const { state } of life) {
				expect(state.startedAt ?? -1).toBeLessThan(
					Math.min(startBy ?? 1e15, endBy ?? 1e15),
				);
				if (state.outcome === "expired")
					expect(state.finishedAt).toBeGreaterThanOrEqual(
						Math.min(endBy ?? 1e15, startBy ?? 1e15),
					);
			}
		});
	});
});

describe("attempts", () => {
	it("end after too many in a row without a new token, at the price of none", () => {
		let state = born();
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

	it("may fail any number of times while each brings tokens", () => {
		let state = born();
		for (let n = 1; n <= 50; n++) state = failOnce(state, n);
		expect(state).toMatchObject({ phase: "waiting", failures: 1 });
	});

	it("wait longer after each failure, spread at random, half a minute at most", () => {
		let state = born();
		const waits: number[] = [];
		for (let n = 1; n < MAX_FAILURES; n++) {
			state = lived(state, 0, granted, broken(0));
			const { retryAt } = state;
			waits.push(retryAt as number);
			expect(transition(state, time, (retryAt as number) - 1)).toBe(null);
			state = lived(state, retryAt as number, time);
			expect(state.phase).toBe("waiting");
		}
		expect(waits).toEqual([...waits].sort((a, b) => a - b));
		expect(waits.at(-1)).toBeLessThanOrEqual(30_000);
		expect(waits[0]).toBe(375);
	});

	it("that restarts of the edge cut off are no failures: the first goes on at once, more in a row wait longer", () => {
		let state = lived(born(), 0, granted, broken(0));
		const waits: number[] = [];
		for (let n = 0; n <= MAX_FAILURES; n++) {
			const now = state.retryAt as number;
			state = lived(state, now, time, granted, interrupted(0));
			waits.push((state.retryAt as number) - now);
		}
		expect(state).toMatchObject({ phase: "backoff", failures: 1 });
		expect(waits.slice(0, 4)).toEqual([0, 375, 750, 1_500]);
		expect(waits.at(-1)).toBeLessThanOrEqual(30_000);
		state = lived(state, HOUR, time, granted, interrupted(1));
		expect(state).toMatchObject({ failures: 0, retryAt: HOUR });
	});

	it("end after very many restarts in a row without a new token: what ends the edge must not do so for ever", () => {
		let state = born();
		for (let n = 1; n <= MAX_INTERRUPTIONS; n++) {
			expect(state.phase).toBe("waiting");
			state = lived(state, HOUR * n, granted, interrupted(0));
			state = lived(state, HOUR * (n + 1), time);
		}
		expect(state).toMatchObject({
			phase: "settling",
			outcome: "failed",
			error: { code: "backend_failed" },
		});
	});

	it("avoid the worker that failed last; the object's own death blames none", () => {
		const failed = lived(born(), 0, granted, broken(0));
		expect(failed.avoid).toBe(lease.url);
		const died = lived(born(), 0, granted, interrupted(0));
		expect(died).toMatchObject({ phase: "backoff", retryAt: 0, avoid: null });
		const stalled = lived(born(), 0, granted, {
			type: "seam",
			tokens: 0,
			random: 0,
		});
		expect(stalled.avoid).toBe(lease.url);
	});

	it("stay `running` to readers while a later one waits for a slot", () => {
		const state = failOnce(born(), 1);
		expect(state).toMatchObject({ phase: "waiting", status: "running" });
		expect(
			transition(state, { type: "placed", answer: "queued", place }, HOUR),
		).toBe(null);
		expect(transition(state, granted, HOUR)?.events).toEqual([]);
	});
});

describe("waiting", () => {
	it("is told once with its place, and again when it waits for something else", () => {
		const queued: JobChange = { type: "placed", answer: "queued", place };
		const cold: JobChange = { type: "placed", answer: "provisioning", place };
		let state = born();
		const told = [queued, queued, cold, cold, queued].map((change) => {
			const decision = transition(state, change, 0);
			state = decision?.state ?? state;
			return decision && state.status;
		});
		expect(told).toEqual(["queued", null, "provisioning", null, "queued"]);
		expect(lived(state, 0, granted).place).toBe(null);
	});

	it("asks the pool again more and more rarely, and an account that does not answer too", () => {
		const asks = (state: JobState, until: number): number[] => {
			const waits: number[] = [];
			for (let now = 0; now < until; ) {
				const next = alarmAt(state, now) as number;
				waits.push((next - now) / 1000);
				now = next;
			}
			return waits;
		};
		expect(asks(born(), HOUR)).toEqual([
			60, 60, 120, 240, 480, 600, 600, 600, 600, 600,
		]);
		const settling = lived(born(), 0, granted, {
			type: "finished",
			reason: "stop",
		});
		expect(asks(settling, 4 * HOUR)).toEqual([
			5, 5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600,
		]);
	});
});

describe("a cancel", () => {
	it.each<[string, JobState, string]>([
		["waits for a slot", born(), "canceled"],
		["runs", lived(born(), 0, granted), "canceled"],
		[
			"waits for its next attempt",
			lived(born(), 0, granted, broken(1)),
			"canceled",
		],
		[
			"is being settled",
			lived(born(), 0, granted, { type: "finished", reason: "stop" }),
			"succeeded",
		],
	])("of a job that %s", (_, state, outcome) => {
		const canceled = lived(state, 5, cancel);
		expect(canceled).toMatchObject({ phase: "settling", outcome });
		expect(transition(canceled, cancel, 6)).toBe(null);
		// What was under way comes too late.
		expect(transition(canceled, granted, 6)).toBe(null);
		expect(transition(canceled, { type: "finished", reason: "stop" }, 6)).toBe(
			null,
		);
	});

	it("by `Cancel-After` comes at its time, also while it runs", () => {
		const running = lived(born({ cancelAt: 5_000 }), 0, granted);
		expect(alarmAt(running, 0)).toBe(5_000);
		expect(transition(running, time, 4_999)).toBe(null);
		expect(lived(running, 5_000, time).outcome).toBe("canceled");
	});
});

describe("a deadline", () => {
	it("to start expires a job that did not start, and no other", () => {
		const waiting = born({ startBy: 5_000 });
		expect(alarmAt(waiting, 0)).toBe(5_000);
		expect(lived(waiting, 5_000, time).outcome).toBe("expired");
		expect(transition(waiting, granted, 5_000)).toBe(null);
		const running = lived(waiting, 4_999, granted);
		expect(transition(running, time, 6_000)).toBe(null);
	});

	it("to end expires a job wherever it is, and of two things due the first counts", () => {
		const running = lived(born({ endBy: 5_000 }), 0, granted);
		expect(lived(running, 5_000, time).outcome).toBe("expired");
		const both = (endBy: number, cancelAt: number) =>
			lived(born({ endBy, cancelAt }), HOUR, time).outcome;
		expect(both(2, 1)).toBe("canceled");
		expect(both(1, 2)).toBe("expired");
		expect(both(1, 1)).toBe("expired");
	});
});

describe("a job that minds its readers", () => {
	const watched: JobChange = { type: "reader_joined" };
	const lost: JobChange = { type: "readers_left", how: "lost" };
	const hungUp = (ago: number): JobChange => ({
		type: "readers_left",
		how: "hungUp",
		ago,
	});
	const minding = () => lived(born({ onDisconnect: "cancel" }), 0, granted);

	it("is canceled ten seconds after the last was lost", () => {
		const left = lived(minding(), 1_000, watched, lost);
		expect(alarmAt(left, 2_000)).toBe(1_000 + RECONNECT_MS);
		expect(transition(left, time, 1_000 + RECONNECT_MS - 1)).toBe(null);
		expect(lived(left, 1_000 + RECONNECT_MS, time).outcome).toBe("canceled");
	});

	it("is canceled two seconds after a call was hung up on, however late that was noticed", () => {
		fc.assert(
			fc.property(fc.nat(1_500), fc.nat(90_000), (ago, late) => {
				const now = 100_000;
				const left = lived(minding(), now, watched, hungUp(ago));
				expect(alarmAt(left, now)).toBe(now - ago + REPEAT_CALL_MS);
				expect(transition(left, time, now - ago + REPEAT_CALL_MS - 1)).toBe(
					null,
				);
				expect(lived(left, now - ago + REPEAT_CALL_MS, time).outcome).toBe(
					"canceled",
				);
				// Who repeats the call has a moment for it even then.
				const noticed = lived(minding(), now, watched, hungUp(1_500 + late));
				expect(alarmAt(noticed, now)).toBe(now + 500);
			}),
		);
	});

	it("goes on when the call is repeated in time, for as long as the repeat's reader needs to come", () => {
		const left = lived(minding(), 1_000, watched, hungUp(0));
		const repeated = lived(left, 2_900, { type: "call_repeated" });
		expect(transition(repeated, time, 2_900 + REPEAT_CALL_MS - 1)).toBe(null);
		expect(lived(repeated, 2_900 + REPEAT_CALL_MS, time).outcome).toBe(
			"canceled",
		);
		const read = lived(repeated, 3_000, watched);
		expect(transition(read, time, HOUR)).toBe(null);
		// A place that is kept for longer is not given away sooner.
		const kept = lived(minding(), 1_000, watched, lost, {
			type: "call_repeated",
		});
		expect(alarmAt(kept, 1_000)).toBe(1_000 + RECONNECT_MS);
	});

	it("that is over, or is read, stays so when its call is repeated", () => {
		const canceled = lived(minding(), 0, watched, hungUp(0), cancel);
		expect(transition(canceled, { type: "call_repeated" }, 1)).toBe(null);
		const read = lived(minding(), 0, watched);
		expect(transition(read, { type: "call_repeated" }, 1)).toBe(null);
	});

	it("goes on when one comes back in time", () => {
		const back = lived(minding(), 1_000, watched, lost, watched);
		expect(transition(back, time, HOUR)).toBe(null);
		expect(alarmAt(back, 2_000)).toBe(2_000 + HEARTBEAT_MS);
	});

	it("counts from the loss, however often it is told of it", () => {
		const left = lived(minding(), 1_000, watched, lost);
		expect(transition(left, lost, 5_000)).toBe(null);
	});

	it("goes on while nobody ever read, and when the last had what it waited for", () => {
		expect(transition(minding(), lost, 0)).toBe(null);
		const content = lived(minding(), 0, watched, {
			type: "readers_left",
			how: "satisfied",
		});
		expect(transition(content, time, HOUR)).toBe(null);
		expect(transition(content, lost, HOUR)).toBe(null);
	});

	it("is the only kind that does", () => {
		const other = lived(born(), 0, granted);
		expect(transition(other, watched, 0)).toBe(null);
		for (const change of [lost, hungUp(0)])
			expect(transition({ ...other, watched: true }, change, 0)).toBe(null);
	});
});
