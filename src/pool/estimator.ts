/** A pool's quotes: forecasts that serve many of them, of what was measured, and how wrong they turned out. */
import {
	byBudget,
	type Forecast,
	forecast,
	missOf,
	overtaking,
	type PoolSnapshot,
	type Quoted,
	quote,
} from "./eta.ts";
import type { Measurements } from "./measured.ts";
import { remember } from "./measured.ts";
import type { FairQueue, QueueEntry } from "./queue.ts";
import type { Traffic } from "./traffic.ts";

/** A forecast serves all quotes for so long, or so many grants. */
const LASTS = { ms: 1_000, grants: 32 };
/** Jobs that start together were wrong together: of those within this time one is counted. */
const APART_MS = 20_000;

export class Estimator {
	readonly #kept: Measurements;
	readonly #traffic: Traffic;
	/** What the pool sees now. */
	readonly #view: (now: number) => PoolSnapshot;
	#made: { forecast: Forecast; at: number; granted: number } | null = null;
	#missedAt = 0;

	constructor(
		kept: Measurements,
		traffic: Traffic,
		view: (now: number) => PoolSnapshot,
	) {
		this.#kept = kept;
		this.#traffic = traffic;
		this.#view = view;
	}

	/** For a job that waits. */
	quote<W extends QueueEntry & { tokens: number }>(
		{ job, tokens }: W,
		queue: FairQueue<W>,
		now: number,
	): Quoted {
		let made = this.#made;
		if (
			!made ||
			now - made.at >= LASTS.ms ||
			now < made.at ||
			made.granted >= LASTS.grants
		) {
			made = {
				forecast: forecast(this.#view(now), this.#kept),
				at: now,
				granted: 0,
			};
			this.#made = made;
		}
		const shares = this.#traffic.shares(now);
		const rooms = queue.rooms(job, shares.keys()).map(({ account, jobs }) => ({
			jobs,
			share: shares.get(account) ?? 0,
		}));
		return quote(
			made.forecast,
			{
				position: queue.position(job) + made.granted,
				agoMs: now - made.at,
				overtaking: overtaking(rooms),
				tokens,
			},
			this.#kept.misses,
		);
	}

	/** Mean time on a slot of these jobs together, in milliseconds. */
	work(budgets: Iterable<number>): number {
		const services = byBudget(this.#kept);
		let sum = 0;
		for (const tokens of budgets) sum += services(tokens).mean;
		return sum;
	}

	/** A job got a slot; `rawP90` is what it was quoted `waitedMs` ago, null where that counts for nothing. */
	granted(rawP90: number | null, waitedMs: number, now: number): void {
		if (this.#made) this.#made.granted++;
		if (rawP90 === null || now - this.#missedAt < APART_MS) return;
		this.#missedAt = now;
		remember(this.#kept, "misses", missOf(rawP90, waitedMs));
	}

	/** Workers came or went: the forecast is another one. */
	changed(): void {
		this.#made = null;
	}
}
