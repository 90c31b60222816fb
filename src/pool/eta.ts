/**
 * When waiting jobs will start, have their first token and end. A forecast simulates the pool's
 * near future many times, from its present state and its measurements: a lease ends after the rest
 * of a measured service time, a worker becomes ready after the rest of a measured cold start, jobs
 * come as they came before, and each free slot takes the next job. Quotes are quantiles over those
 * futures. Durations are milliseconds. The same snapshot gives the same quotes.
 */
import type { Eta, Quantiles } from "../contract/pool.ts";
import {
	coldStarts,
	drawJoin,
	drawRemaining,
	firstAbove,
	joinCurve,
	type Measurements,
	type ServiceTimes,
	serviceTimes,
} from "./measurements.ts";
import type { Arrivals } from "./traffic.ts";

/** Futures that a forecast simulates. */
const FUTURES = 96;
/** Starts simulated in each; those of jobs further back in the queue are extrapolated. */
export const STARTS = 320;
/** The slots of a worker that never answered. */
const USUAL_SLOTS = 4;
/** The budget of a job that has not come yet, where none waits. */
const USUAL_TOKENS = 256;
/**
 * The most steps in which a start is searched: each moves it by the jobs that overtake it
 * meanwhile.
 */
const STEPS = 50;
const STEP_MS = 100;
/** Added to both times of a ratio, so that an error of less than a second counts little. */
const NEAR_MS = 1_000;
/** Quotes that are taken to have been right before any is measured. */
const PRIOR_RIGHT = 30;

/** A pool's present state. */
export interface PoolSnapshot {
	/** For each worker that takes jobs. */
	ready: { slots: number; leases: { ageMs: number; tokens: number }[] }[];
	/**
	 * For each worker that is not ready: how long it has been awaited. Slots are 0 where it never
	 * answered.
	 */
	absent: { slots: number; ageMs: number }[];
	/** For each worker that takes jobs again in `inMs`. */
	back: { slots: number; inMs: number }[];
	/** How long jobs have waited for a first worker; null where one is ready. */
	coldMs: number | null;
	/** Budgets in tokens of the first jobs that wait, next first. */
	waiting: number[];
	/** Draws futures of the jobs to come. */
	arrivals: (count: number, next: () => number) => Arrivals[];
}

export interface Forecast {
	/** Of the n-th job from now on, in each future: `starts[future * count + n]`. */
	starts: Float64Array;
	count: number;
	arrivals: Arrivals[];
	/** By the budget of a job. */
	services: (tokens: number) => ServiceTimes;
	cold: boolean;
}

export function forecast(
	snapshot: PoolSnapshot,
	measurements: Measurements,
): Forecast {
	const next = random();
	const services = serviceTimesByBudget(measurements);
	const colds = coldStarts(measurements);
	const joining = joinCurve(measurements);
	const usual = snapshot.waiting.at(-1) ?? USUAL_TOKENS;
	const count = Math.min(STARTS, snapshot.waiting.length + 64);
	const starts = new Float64Array(FUTURES * count);

	/** When each slot is free, in one future. */
	const freeAt = (): number[] => {
		const free: number[] = [];
		for (const { slots, leases } of snapshot.ready) {
			const ends = leases
				.map(({ ageMs, tokens }) =>
					drawRemaining(services(tokens).ms, ageMs, next()),
				)
				.sort((a, b) => a - b);
			// A worker that restarted with fewer slots has more leases than slots.
			free.push(...ends.slice(Math.max(0, leases.length - slots)));
			for (let n = leases.length; n < slots; n++) free.push(0);
		}
		for (const { slots, inMs } of snapshot.back)
			for (let n = 0; n < slots; n++) free.push(inMs);
		const first =
			snapshot.coldMs === null
				? 0
				: drawRemaining(colds, snapshot.coldMs, next());
		snapshot.absent.forEach(({ slots, ageMs }, n) => {
			const joins = drawJoin(joining, ageMs, next());
			const isFirst = snapshot.coldMs !== null && n === 0;
			const at = isFirst ? first : Math.max(first, joins);
			for (let slot = 0; slot < (slots || USUAL_SLOTS); slot++) free.push(at);
		});
		return free.some(Number.isFinite) ? free : [first];
	};

	for (let future = 0; future < FUTURES; future++) {
		const heap = Float64Array.from(freeAt()).sort();
		// The measurements are a sample: in truth all jobs may take longer, or less long.
		const error = 1 + services(usual).error * normal(next);
		const pace = Math.min(2, Math.max(0.5, error));
		for (let n = 0; n < count; n++) {
			const at = heap[0] as number;
			starts[future * count + n] = at;
			const { ms } = services(snapshot.waiting[n] ?? usual);
			heap[0] = at + pace * (ms[Math.floor(next() * ms.length)] as number);
			sink(heap);
		}
	}
	const arrivals = snapshot.arrivals(FUTURES, next);
	return { starts, count, arrivals, services, cold: snapshot.coldMs !== null };
}

/** How many of the `jobs` that come after a given one will be served before it. */
export type Overtaking = (jobs: number) => number;

/**
 * @param others for each other account: how many jobs it may still send that would be served
 * before, and its share of the jobs to come
 */
export function overtaking(
	others: readonly { jobs: number; share: number }[],
): Overtaking {
	// Accounts by when they have sent that many: of the n-th, those before are full, the rest still
	// filling.
	const sorted = others
		.filter(({ share }) => share > 0)
		.sort((a, b) => a.jobs / a.share - b.jobs / b.share);
	const fullAt = Float64Array.from(sorted, ({ jobs, share }) => jobs / share);
	const full = [0];
	const filling = [sorted.reduce((sum, { share }) => sum + share, 0)];
	sorted.forEach(({ jobs, share }, n) => {
		full.push((full[n] as number) + jobs);
		filling.push((filling[n] as number) - share);
	});
	return (jobs) => {
		const n = firstAbove(fullAt, jobs);
		return (full[n] as number) + Math.max(0, filling[n] as number) * jobs;
	};
}

/**
 * A quote corrected by how wrong quotes have been, and its p90 before that: misses are measured
 * against it.
 */
export interface Quoted {
	eta: Eta;
	rawP90: number;
}

/** Where a job is in a forecast. */
export interface ForecastPosition {
	/** 1 is the next simulated start. */
	position: number;
	/** How long ago the forecast was made. */
	agoMs: number;
	overtaking: Overtaking;
	tokens: number;
}

/** @param misses see `missOf` */
export function quote(
	{ starts, count, arrivals, services, cold }: Forecast,
	{ position, agoMs, overtaking, tokens }: ForecastPosition,
	misses: readonly number[],
): Quoted {
	const draws = new Float64Array(FUTURES);
	for (let future = 0; future < FUTURES; future++) {
		const simulated = starts.subarray(future * count, (future + 1) * count);
		const comes = arrivals[future] as Arrivals;
		const soFar = comes(agoMs);
		const startOf = (n: number) => Math.max(0, nth(simulated, n) - agoMs);
		let at = startOf(position - 1);
		for (let step = 0; step < STEPS; step++) {
			const ahead = overtaking(comes(agoMs + at) - soFar);
			const later = startOf(position - 1 + ahead);
			if (later - at < STEP_MS) break;
			at = later;
		}
		draws[future] = at;
	}
	draws.sort();

	const by = correction(misses);
	const corrected = (ms: number, by: number) =>
		Math.max(0, (ms + NEAR_MS) * by - NEAR_MS);
	const raw = quantiles(draws);
	const p90 = Math.max(raw.p50, corrected(raw.p90, by));
	const { ms, firstTokenMs } = services(tokens);
	const next = random();
	const first = new Float64Array(FUTURES);
	const finish = new Float64Array(FUTURES);
	for (let n = 0; n < FUTURES; n++) {
		// The later half of the starts is corrected too, the more the nearer a start is to the p90.
		const half = FUTURES / 2;
		const most = Math.floor(0.9 * (FUTURES - 1));
		const rank = Math.min(1, Math.max(0, (n - half) / (most - half)));
		const draw = corrected(draws[n] as number, 1 + (by - 1) * rank);
		const at = n > half ? Math.max(raw.p50, draw) : draw;
		const like = Math.floor(next() * ms.length);
		first[n] = at + (firstTokenMs[like] as number);
		finish[n] = at + (ms[like] as number);
	}
	return {
		eta: {
			start: rounded({ p50: raw.p50, p90 }),
			first_token: rounded(quantiles(first.sort())),
			finish: rounded(quantiles(finish.sort())),
			cold,
		},
		rawP90: raw.p90,
	};
}

/** The factor by which a job that started missed the p90 of its quote. */
export const missFactor = (rawP90: number, startedMs: number): number =>
	(startedMs + NEAR_MS) / (rawP90 + NEAR_MS);

/** The factor that would have made nine in ten quotes right. */
function correction(misses: readonly number[]): number {
	const priorRight = Math.max(0, PRIOR_RIGHT - misses.length);
	const factors = [...misses, ...Array<number>(priorRight).fill(1)];
	factors.sort((a, b) => a - b);
	return nth(factors, 0.9 * (factors.length - 1));
}

/**
 * The n-th of rising numbers. A fractional `n` is interpolated, one beyond the last extrapolated
 * from the later half.
 */
function nth(rising: ArrayLike<number>, n: number): number {
	const last = rising.length - 1;
	if (n < last) {
		const low = Math.floor(n);
		const from = rising[low] as number;
		return from + ((rising[low + 1] as number) - from) * (n - low);
	}
	const half = last >> 1;
	const end = rising[last] as number;
	const pace = (end - (rising[half] as number)) / Math.max(1, last - half);
	return end + pace * (n - last);
}

const quantiles = (rising: Float64Array): Quantiles => ({
	p50: nth(rising, 0.5 * (rising.length - 1)),
	p90: nth(rising, 0.9 * (rising.length - 1)),
});

const rounded = ({ p50, p90 }: Quantiles): Quantiles => ({
	p50: Math.round(p50),
	p90: Math.round(p90),
});

/** `serviceTimes`, computed once for all budgets within a tenth or so of each other. */
export function serviceTimesByBudget(
	measurements: Measurements,
): (tokens: number) => ServiceTimes {
	const computed: ServiceTimes[] = [];
	return (tokens) => {
		const n = Math.round(4 * Math.log2(tokens));
		let services = computed[n];
		if (!services) {
			services = serviceTimes(measurements, tokens);
			computed[n] = services;
		}
		return services;
	};
}

/** Restores a heap, the least on top, after its first number changed. */
function sink(heap: Float64Array): void {
	const value = heap[0] as number;
	let n = 0;
	for (;;) {
		let child = 2 * n + 1;
		if (child >= heap.length) break;
		const right = child + 1;
		if (
			right < heap.length &&
			(heap[right] as number) < (heap[child] as number)
		)
			child = right;
		if ((heap[child] as number) >= value) break;
		heap[n] = heap[child] as number;
		n = child;
	}
	heap[n] = value;
}

/** Approximately normal, of variance one: the sum of four uniform numbers. */
const normal = (next: () => number): number =>
	(next() + next() + next() + next() - 2) * Math.sqrt(3);

/** Numbers in [0, 1), always the same: a quote changes when what is seen does, not by chance. */
function random(): () => number {
	let state = 0x9e3779b9;
	return () => {
		// A 32-bit xorshift.
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		return (state >>> 0) / 2 ** 32;
	};
}
