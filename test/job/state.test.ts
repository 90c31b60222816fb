import fc from "fast-check";
import { describe, expect, it } from "vitest";
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
import { settle } from "../../src/pricing/settle.ts";
import type { Disconnect } from "../../src/stream/readers.ts";
import { ONE_EACH } from "../support/prices.ts";

const HOUR = 3_600_000;
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
};
type Limits = Deadlines & Pick<JobSpec, "onDisconnect">;
const newState = (limits: Partial<Limits> = {}): JobState =>
	initialState(
		{ ...endless, onDisconnect: "continue", ...limits } as JobSpec,
		0,
	);
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

/** The state after these changes at that time; a change that does nothing is skipped. */
const applied = (
	state: JobState,
	now: number,
	...changes: JobChange[]
): JobState =>
	changes.reduce(
		(from, change) => transition(from, change, now)?.state ?? from,
		state,
	);

/** An attempt that fails with so many tokens in the log, and the backoff after it. */
const failOnce = (from: JobState, tokens: number): JobState =>
	applied(applied(from, 0, granted, broken(tokens)), HOUR, time);

// Random histories: whatever the Pool, the backend, callers, clock and alarm may do, in any order.

type Step = { wait: number; add: number; make: (tokens: number) => JobChange };

const disconnect: fc.Arbitrary<Disconnect> = fc.oneof(
	fc.constantFrom({ how: "satisfied" as const }, { how: "lost" as const }),
	fc.nat(90_000).map((agoMs) => ({ how: "hungUp" as const, agoMs })),
);
const change: fc.Arbitrary<Step["make"]> = fc.oneof(
	fc
		.constantFrom("queued" as const, "provisioning" as const)
		.map((status) => () => ({ type: "placed", status, place }) as JobChange),
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
	fc.constant((tokens: number) => ({ type: "described", tokens }) as JobChange),
	fc
		.constantFrom("stop" as const, "length" as const)
		.map((reason) => () => ({ type: "finished", reason }) as JobChange),
	fc.constant(() => cancel),
	fc.constant(() => ({ type: "reader_joined" }) as JobChange),
	disconnect.map(
		(left) => (): JobChange => ({ type: "readers_left", ...left }),
	),
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
const limits: fc.Arbitrary<Limits> = fc.record({
	startBy: deadline,
	endBy: deadline,
	cancelAt: deadline,
	onDisconnect: fc.constantFrom("continue", "cancel"),
});

interface Moment {
	now: number;
	tokens: number;
	state: JobState;
	/** The events of the step before. */
	log: TransitionEvent[];
}

/** Every state on the way. Only a running attempt adds tokens, and the ledger sets the price. */
function historyOf(limits: Limits, steps: Step[]): Moment[] {
	const history: Moment[] = [
		{ now: 0, tokens: 0, state: newState(limits), log: [] },
	];
	for (const { wait, add, make } of steps) {
		const before = history.at(-1) as Moment;
		const { state } = before;
		const now = before.now + wait;
		const room = MAX_TOKENS - before.tokens;
		const tokens =
			before.tokens + (state.phase === "running" ? Math.min(add, room) : 0);
		const made = make(tokens);
		const change =
			made.type === "settled" && state.outcome
				? settled(
						settle(state.outcome, ONE_EACH.rates, {
							prompt_tokens: 7,
							output_tokens: tokens,
							images: 0,
						}).price,
					)
				: made;
		const decision = transition(state, change, now);
		history.push({
			now,
			tokens,
			state: decision?.state ?? state,
			log: decision?.events ?? [],
		});
	}
	return history;
}

const always = (check: (history: Moment[], limits: Limits) => void) =>
	fc.assert(
		fc.property(limits, steps, (limits, steps) =>
			check(historyOf(limits, steps), limits),
		),
		{ numRuns: 500 },
	);

describe("a job, in whatever order things happen,", () => {
	it("has one outcome, decided before it is settled and never changed", () => {
		always((history) => {
			const outcomes = new Set(
				history.map(({ state }) => state.outcome).filter((o) => o !== null),
			);
			expect(outcomes.size).toBeLessThanOrEqual(1);
			for (const { state } of history) {
				expect(state.outcome !== null).toBe(!isOpen(state));
				expect(state.settlement !== null).toBe(state.phase === "finished");
				expect(state.lease !== null).toBe(state.phase === "running");
			}
		});
	});

	it("logs its end once, settles once, and changes nothing afterwards", () => {
		always((history) => {
			const terminal = history.filter(
				({ state, log }) =>
					state.phase === "finished" && log.some((l) => l.type === "state"),
			);
			const end = history.findIndex(({ state }) => state.phase === "finished");
			expect(terminal).toHaveLength(end < 0 ? 0 : 1);
			if (end < 0) return;
			expect(terminal[0]).toBe(history[end]);
			for (const late of history.slice(end + 1)) {
				expect(late.log).toEqual([]);
				expect(late.state).toBe(history[end]?.state);
			}
		});
	});

	it("costs nothing unless it succeeded or was canceled with tokens", () => {
		always((history) => {
			const { state, tokens } = history.at(-1) as Moment;
			const price = state.settlement?.price;
			if (price === undefined) return;
			const free =
				state.status === "failed" ||
				state.status === "expired" ||
				(state.status === "canceled" && tokens === 0);
			expect(price === 0).toBe(free);
			expect(price).toBeLessThanOrEqual(7 + MAX_TOKENS);
		});
	});

	it("begins no more attempts than its tokens and failures allow", () => {
		always((history) => {
			for (const { state, tokens } of history)
				expect(state.attempts).toBeLessThanOrEqual(
					(MAX_FAILURES + MAX_INTERRUPTIONS) * (tokens + 1),
				);
		});
	});

	it("has an alarm until it is finished, and then none", () => {
		always((history) => {
			for (const { state, now } of history)
				expect(alarmAt(state, now) === null).toBe(state.phase === "finished");
		});
	});

	it("does all that is due at once, and then sleeps until later", () => {
		always((history) => {
			for (const { state, now } of history) {
				let times = 0;
				let current = state;
				for (
					let decision = transition(current, time, now);
					decision;
					decision = transition(current, time, now)
				) {
					current = decision.state;
					expect(++times).toBeLessThanOrEqual(2);
				}
				if (current.phase !== "finished")
					expect(alarmAt(current, now)).toBeGreaterThan(now);
			}
		});
	});

	it("goes forward in time, and its alarm is never later than its deadlines", () => {
		always((history, { startBy, endBy, cancelAt }) => {
			for (const { state, now } of history) {
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
		always((history) => {
			history.slice(1).forEach(({ state }, n) => {
				const before = (history[n] as Moment).state;
				expect(state.tokensBefore).toBeGreaterThanOrEqual(before.tokensBefore);
				expect(state.attempts - before.attempts).toBeGreaterThanOrEqual(0);
				expect(state.attempts - before.attempts).toBeLessThanOrEqual(1);
			});
		});
	});

	it("neither starts after its deadline to start, nor expires before a deadline", () => {
		always((history, { startBy, endBy }) => {
			for (const { state } of history) {
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
	it("fail the job after too many in a row without a new token", () => {
		let state = newState();
		for (let n = 1; n <= MAX_FAILURES; n++) {
			expect(state.phase).toBe("waiting");
			// The first failed attempt added tokens, the others none.
			state = failOnce(state, 3);
		}
		expect(state).toMatchObject({
			phase: "settling",
			outcome: "failed",
			error: { code: "backend_failed" },
		});
	});

	it("may fail any number of times while each adds tokens", () => {
		let state = newState();
		for (let n = 1; n <= 50; n++) state = failOnce(state, n);
		expect(state).toMatchObject({ phase: "waiting", failures: 1 });
	});

	it("wait longer after each failure, spread at random, half a minute at most", () => {
		let state = newState();
		const waits: number[] = [];
		for (let n = 1; n < MAX_FAILURES; n++) {
			state = applied(state, 0, granted, broken(0));
			const { retryAt } = state;
			waits.push(retryAt as number);
			expect(transition(state, time, (retryAt as number) - 1)).toBe(null);
			state = applied(state, retryAt as number, time);
			expect(state.phase).toBe("waiting");
		}
		expect(waits).toEqual([...waits].sort((a, b) => a - b));
		expect(waits.at(-1)).toBeLessThanOrEqual(30_000);
		expect(waits[0]).toBe(375);
	});

	it("that restarts interrupt are no failures: they repeat at once, then wait", () => {
		let state = applied(newState(), 0, granted, broken(0));
		const waits: number[] = [];
		for (let n = 0; n <= MAX_FAILURES; n++) {
			const now = state.retryAt as number;
			state = applied(state, now, time, granted, interrupted(0));
			waits.push((state.retryAt as number) - now);
		}
		expect(state).toMatchObject({ phase: "backoff", failures: 1 });
		expect(waits.slice(0, 4)).toEqual([0, 375, 750, 1_500]);
		expect(waits.at(-1)).toBeLessThanOrEqual(30_000);
		state = applied(state, HOUR, time, granted, interrupted(1));
		expect(state).toMatchObject({ failures: 0, retryAt: HOUR });
	});

	it("fail the job after very many restarts in a row without a new token", () => {
		let state = newState();
		for (let n = 1; n <= MAX_INTERRUPTIONS; n++) {
			expect(state.phase).toBe("waiting");
			state = applied(state, HOUR * n, granted, interrupted(0));
			state = applied(state, HOUR * (n + 1), time);
		}
		expect(state).toMatchObject({
			phase: "settling",
			outcome: "failed",
			error: { code: "backend_failed" },
		});
	});

	it("avoid the worker that failed last, but none after a restart of the object", () => {
		const failed = applied(newState(), 0, granted, broken(0));
		expect(failed.avoid).toBe(lease.url);
		const died = applied(newState(), 0, granted, interrupted(0));
		expect(died).toMatchObject({ phase: "backoff", retryAt: 0, avoid: null });
		const stalled = applied(newState(), 0, granted, {
			type: "seam",
			tokens: 0,
			random: 0,
		});
		expect(stalled.avoid).toBe(lease.url);
	});

	it("stay `running` to readers while a later one waits for a slot", () => {
		const state = failOnce(newState(), 1);
		expect(state).toMatchObject({ phase: "waiting", status: "running" });
		expect(
			transition(state, { type: "placed", status: "queued", place }, HOUR),
		).toBe(null);
		expect(transition(state, granted, HOUR)?.events).toEqual([]);
	});
});

describe("waiting", () => {
	it("logs its place once, and again when it waits for something else", () => {
		const queued: JobChange = { type: "placed", status: "queued", place };
		const cold: JobChange = { type: "placed", status: "provisioning", place };
		let state = newState();
		const statuses = [queued, queued, cold, cold, queued].map((change) => {
			const decision = transition(state, change, 0);
			state = decision?.state ?? state;
			return decision && state.status;
		});
		expect(statuses).toEqual(["queued", null, "provisioning", null, "queued"]);
		expect(applied(state, 0, granted).place).toBe(null);
	});

	it("repeats its calls to the pool and to the account less and less often", () => {
		const waitsOf = (state: JobState, until: number): number[] => {
			const waits: number[] = [];
			for (let now = 0; now < until; ) {
				const next = alarmAt(state, now) as number;
				waits.push((next - now) / 1000);
				now = next;
			}
			return waits;
		};
		expect(waitsOf(newState(), HOUR)).toEqual([
			60, 60, 120, 240, 480, 600, 600, 600, 600, 600,
		]);
		const settling = applied(newState(), 0, granted, {
			type: "finished",
			reason: "stop",
		});
		expect(waitsOf(settling, 4 * HOUR)).toEqual([
			5, 5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600,
		]);
	});
});

describe("a cancel", () => {
	it.each<[string, JobState, string]>([
		["waits for a slot", newState(), "canceled"],
		["runs", applied(newState(), 0, granted), "canceled"],
		[
			"waits for its next attempt",
			applied(newState(), 0, granted, broken(1)),
			"canceled",
		],
		[
			"is being settled",
			applied(newState(), 0, granted, { type: "finished", reason: "stop" }),
			"succeeded",
		],
	])("of a job that %s", (_, state, outcome) => {
		const canceled = applied(state, 5, cancel);
		expect(canceled).toMatchObject({ phase: "settling", outcome });
		expect(transition(canceled, cancel, 6)).toBe(null);
		// Changes that were under way come too late.
		expect(transition(canceled, granted, 6)).toBe(null);
		expect(transition(canceled, { type: "finished", reason: "stop" }, 6)).toBe(
			null,
		);
	});

	it("by `Cancel-After` comes at its time, also while the job runs", () => {
		const running = applied(newState({ cancelAt: 5_000 }), 0, granted);
		expect(alarmAt(running, 0)).toBe(5_000);
		expect(transition(running, time, 4_999)).toBe(null);
		expect(applied(running, 5_000, time).outcome).toBe("canceled");
	});
});

describe("a deadline", () => {
	it("to start expires a job that did not start, and no other", () => {
		const waiting = newState({ startBy: 5_000 });
		expect(alarmAt(waiting, 0)).toBe(5_000);
		expect(applied(waiting, 5_000, time).outcome).toBe("expired");
		expect(transition(waiting, granted, 5_000)).toBe(null);
		const running = applied(waiting, 4_999, granted);
		expect(transition(running, time, 6_000)).toBe(null);
	});

	it("to end expires a job in any phase, and the earlier of two deadlines counts", () => {
		const running = applied(newState({ endBy: 5_000 }), 0, granted);
		expect(applied(running, 5_000, time).outcome).toBe("expired");
		const both = (endBy: number, cancelAt: number) =>
			applied(newState({ endBy, cancelAt }), HOUR, time).outcome;
		expect(both(2, 1)).toBe("canceled");
		expect(both(1, 2)).toBe("expired");
		expect(both(1, 1)).toBe("expired");
	});
});

describe("a job with on_disconnect: cancel", () => {
	const watched: JobChange = { type: "reader_joined" };
	const lost: JobChange = { type: "readers_left", how: "lost" };
	const hungUp = (agoMs: number): JobChange => ({
		type: "readers_left",
		how: "hungUp",
		agoMs,
	});
	const running = () =>
		applied(newState({ onDisconnect: "cancel" }), 0, granted);

	it("is canceled ten seconds after its last reader was lost", () => {
		const left = applied(running(), 1_000, watched, lost);
		expect(alarmAt(left, 2_000)).toBe(1_000 + RECONNECT_MS);
		expect(transition(left, time, 1_000 + RECONNECT_MS - 1)).toBe(null);
		expect(applied(left, 1_000 + RECONNECT_MS, time).outcome).toBe("canceled");
	});

	it("is canceled two seconds after its client hung up, however late the edge noticed", () => {
		fc.assert(
			fc.property(fc.nat(1_500), fc.nat(90_000), (ago, late) => {
				const now = 100_000;
				const left = applied(running(), now, watched, hungUp(ago));
				expect(alarmAt(left, now)).toBe(now - ago + REPEAT_CALL_MS);
				expect(transition(left, time, now - ago + REPEAT_CALL_MS - 1)).toBe(
					null,
				);
				expect(applied(left, now - ago + REPEAT_CALL_MS, time).outcome).toBe(
					"canceled",
				);
				// Even then the client has half a second to repeat the call.
				const noticed = applied(running(), now, watched, hungUp(1_500 + late));
				expect(alarmAt(noticed, now)).toBe(now + 500);
			}),
		);
	});

	it("continues when the call is repeated in time, while the repeat's reader connects", () => {
		const left = applied(running(), 1_000, watched, hungUp(0));
		const repeated = applied(left, 2_900, { type: "call_repeated" });
		expect(transition(repeated, time, 2_900 + REPEAT_CALL_MS - 1)).toBe(null);
		expect(applied(repeated, 2_900 + REPEAT_CALL_MS, time).outcome).toBe(
			"canceled",
		);
		const read = applied(repeated, 3_000, watched);
		expect(transition(read, time, HOUR)).toBe(null);
		// A repeat does not shorten the time to reconnect.
		const kept = applied(running(), 1_000, watched, lost, {
			type: "call_repeated",
		});
		expect(alarmAt(kept, 1_000)).toBe(1_000 + RECONNECT_MS);
	});

	it("does not change by a repeat where it has ended or has a reader", () => {
		const canceled = applied(running(), 0, watched, hungUp(0), cancel);
		expect(transition(canceled, { type: "call_repeated" }, 1)).toBe(null);
		const read = applied(running(), 0, watched);
		expect(transition(read, { type: "call_repeated" }, 1)).toBe(null);
	});

	it("continues when a reader comes back in time", () => {
		const back = applied(running(), 1_000, watched, lost, watched);
		expect(transition(back, time, HOUR)).toBe(null);
		expect(alarmAt(back, 2_000)).toBe(2_000 + HEARTBEAT_MS);
	});

	it("counts the ten seconds from the first loss", () => {
		const left = applied(running(), 1_000, watched, lost);
		expect(transition(left, lost, 5_000)).toBe(null);
	});

	it("continues while it never had a reader, and when its last reader needed no more", () => {
		expect(transition(running(), lost, 0)).toBe(null);
		const satisfied = applied(running(), 0, watched, {
			type: "readers_left",
			how: "satisfied",
		});
		expect(transition(satisfied, time, HOUR)).toBe(null);
		expect(transition(satisfied, lost, HOUR)).toBe(null);
	});

	it("is the only kind that readers can end", () => {
		const other = applied(newState(), 0, granted);
		expect(transition(other, watched, 0)).toBe(null);
		for (const change of [lost, hungUp(0)])
			expect(transition({ ...other, watched: true }, change, 0)).toBe(null);
	});
});

describe("the weights that a job's attempts ran on", () => {
	it("are named once each, in the order of the attempts", () => {
		const on = (digest: string): JobChange => ({
			type: "granted",
			lease: { ...lease, digest },
		});
		const again = (from: JobState, digest: string) =>
			applied(applied(from, 0, on(digest), interrupted(0)), HOUR, time);
		const ran = ["old", "new", "old"].reduce(again, newState());
		expect(ran.digests).toEqual(["old", "new"]);
	});
});
