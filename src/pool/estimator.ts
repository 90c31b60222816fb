/**
 * A pool's quotes of when a waiting job will start, have its first token and end. One forecast
 * serves many quotes. The estimator measures how wrong its quotes turn out, and corrects later
 * ones.
 */
import {
	type Forecast,
	forecast,
	missFactor,
	overtaking,
	type PoolSnapshot,
	type Quoted,
	quote,
	serviceTimesByBudget,
} from "./eta.ts";
import { addMeasurement, type Measurements } from "./measurements.ts";
import type { FairQueue, QueueEntry } from "./queue.ts";
import type { Traffic } from "./traffic.ts";

/** A forecast serves all quotes for this long, or until this many jobs were granted a slot. */
const FORECAST_VALID = { ms: 1_000, grants: 32 };
/** Jobs that start together were wrong together: of those within this time one is counted. */
const MISSES_APART_MS = 20_000;

export class Estimator {
	readonly #measurements: Measurements;
	readonly #traffic: Traffic;
	readonly #snapshot: (now: number) => PoolSnapshot;
	#cached: { forecast: Forecast; at: number; granted: number } | null = null;
	#missedAt = 0;

	/** @param snapshot of the pool's present state */
	constructor(
		measurements: Measurements,
		traffic: Traffic,
		snapshot: (now: number) => PoolSnapshot,
	) {
		this.#measurements = measurements;
		this.#traffic = traffic;
		this.#snapshot = snapshot;
	}

	/** For a job in the queue. */
	quote<E extends QueueEntry & { tokens: number }>(
		{ job, tokens }: E,
		queue: FairQueue<E>,
		now: number,
	): Quoted {
		const { forecast, at, granted } = this.#forecast(now);
		const shares = this.#traffic.shares(now);
		const others = queue
			.headroom(job, shares.keys())
			.map(({ account, jobs }) => ({ jobs, share: shares.get(account) ?? 0 }));
		return quote(
			forecast,
			{
				position: queue.position(job) + granted,
				agoMs: now - at,
				overtaking: overtaking(others),
				tokens,
			},
			this.#measurements.misses,
		);
	}

	/** Mean time on a slot of jobs with these budgets, added up, in milliseconds. */
	work(budgets: Iterable<number>): number {
		const times = serviceTimesByBudget(this.#measurements);
		let sum = 0;
		for (const tokens of budgets) sum += times(tokens).mean;
		return sum;
	}

	/**
	 * A job was granted a slot.
	 * @param rawP90 what it was quoted `waitedMs` ago; null where that is not to be measured
	 */
	granted(rawP90: number | null, waitedMs: number, now: number): void {
		if (this.#cached) this.#cached.granted++;
		if (rawP90 === null || now - this.#missedAt < MISSES_APART_MS) return;
		this.#missedAt = now;
		const miss = missFactor(rawP90, waitedMs);
		addMeasurement(this.#measurements, "misses", miss);
	}

	/** Workers came or went: the next quote needs a new forecast. */
	invalidate(): void {
		this.#cached = null;
	}

	#forecast(now: number) {
		const cached = this.#cached;
		if (
			cached &&
			now >= cached.at &&
			now - cached.at < FORECAST_VALID.ms &&
			cached.granted < FORECAST_VALID.grants
		)
			return cached;
		const made = {
			forecast: forecast(this.#snapshot(now), this.#measurements),
			at: now,
			granted: 0,
		};
		this.#cached = made;
		return made;
	}
}
