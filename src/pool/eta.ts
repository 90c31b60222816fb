/**
 * When waiting jobs will start, have their first token and end. A forecast plays the pool's near future many times over, from
 * what it sees and has measured: leases end after what is left of a measured service time, workers come after what is left of a
 * measured cold start, jobs come as they came before, each free slot takes the next job. Quotes are quantiles over those futures.
 * Durations are milliseconds. The same view gives the same quotes.
 */
import type { Eta, Quantiles } from "../contract/pool.ts";
import {
	above,
	coldsOf,
	joiningOf,
	joinsIn,
	type Measurements,
	residual,
	type Services,
	servicesOf,
} from "./measured.ts";
import type { Arrivals } from "./traffic.ts";

/** Futures played. */
const FUTURES = 96;
/** Starts played in each; what is further back in the queue is extrapolated. */
export const STARTS = 320;
/** A worker that was never heard of has as many slots as this. */
const SLOTS = 4;
/** The budget of jobs that have not come yet, where none waits. */
const TOKENS = 256;
/** A start is looked for in so many steps at most, each as far as the jobs that came meanwhile put it off. */
const STEPS = 50;
const STEP_MS = 100;
/** Added to times that are compared as ratios: what is under a second off is not wrong. */
const NEAR_MS = 1_000;
/** So many quotes are taken to have been right before there are any. */
const RIGHT = 30;

/** What the pool sees. */
export interface PoolSnapshot {
	/** For each worker that takes jobs. */
	ready: { slots: number; leases: { ageMs: number; tokens: number }[] }[];
	/** For each worker that is not ready: how long it has been waited for. Slots are 0 where that is not known. */
	absent: { slots: number; ageMs: number }[];
	/** For each worker that will take jobs again after a known time. */
	back: { slots: number; inMs: number }[];
	/** How long jobs have waited for a first worker; null where one is ready. */
	coldMs: number | null;
	/** Budgets in tokens of the first jobs that wait, next first. */
	waiting: number[];
	/** Draws futures of what comes. */
	arrivals: (count: number, next: () => number) => Arrivals[];
}

export interface Forecast {
	/** Of the n-th job from now on, in each future: `starts[future * count + n]`. */
	starts: Float64Array;
	count: number;
	arrivals: Arrivals[];
	/** By the budget of a job. */
	services: (tokens: number) => Services;
	cold: boolean;
}

export function forecast(view: PoolSnapshot, kept: Measurements): Forecast {
	const next = random();
	const services = byBudget(kept);
	const colds = coldsOf(kept);
	const joining = joiningOf(kept);
	const usual = view.waiting.at(-1) ?? TOKENS;
	const count = Math.min(STARTS, view.waiting.length + 64);
	const starts = new Float64Array(FUTURES * count);

	/** When each slot is free, in one future. */
	const freeAt = (): number[] => {
		const free: number[] = [];
		for (const { slots, leases } of view.ready) {
			const ends = leases
				.map(({ ageMs, tokens }) =>
					residual(services(tokens).ms, ageMs, next()),
				)
				.sort((a, b) => a - b);
			// A worker that came back smaller has more leases than slots.
			free.push(...ends.slice(Math.max(0, leases.length - slots)));
			for (let n = leases.length; n < slots; n++) free.push(0);
		}
		for (const { slots, inMs } of view.back)
			for (let n = 0; n < slots; n++) free.push(inMs);
		const first =
			view.coldMs === null ? 0 : residual(colds, view.coldMs, next());
		view.absent.forEach(({ slots, ageMs }, n) => {
			const joins = joinsIn(joining, ageMs, next());
			const isFirst = view.coldMs !== null && n === 0;
			const at = isFirst ? first : Math.max(first, joins);
			for (let slot = 0; slot < (slots || SLOTS); slot++) free.push(at);
		});
		return free.some(Number.isFinite) ? free : [first];
	};

	for (let future = 0; future < FUTURES; future++) {
		const heap = Float64Array.from(freeAt()).sort();
		// What was measured is a sample: in truth all jobs may take longer, or less.
		const off = 1 + services(usual).error * normal(next);
		const pace = Math.min(2, Math.max(0.5, off));
		for (let n = 0; n < count; n++) {
			const at = heap[0] as number;
			starts[future * count + n] = at;
			const { ms } = services(view.waiting[n] ?? usual);
			heap[0] = at + pace * (ms[Math.floor(next() * ms.length)] as number);
			sink(heap);
		}
	}
	const arrivals = view.arrivals(FUTURES, next);
	return { starts, count, arrivals, services, cold: view.coldMs !== null };
}

/** Of so many jobs that come after a given one, those that will be served before it. */
export type Overtaking = (jobs: number) => number;

/** @param rooms for each other account: jobs it may still send that would be served before, and its share of those that come */
export function overtaking(
	rooms: readonly { jobs: number; share: number }[],
): Overtaking {
	// Those whose room is full the soonest first; up to the n-th full ones, the rest still filling.
	const sorted = rooms
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
		const n = above(fullAt, jobs);
		return (full[n] as number) + Math.max(0, filling[n] as number) * jobs;
	};
}

/** A quote is corrected by how wrong quotes have been; a miss is measured against what it was before. */
export interface Quoted {
	eta: Eta;
	rawP90: number;
}

/** Where in a forecast a job is. */
export interface ForecastPlace {
	/** 1 is the next start that was played. */
	position: number;
	/** The forecast was made so long ago. */
	agoMs: number;
	overtaking: Overtaking;
	tokens: number;
}

/** @param misses see `missOf` */
export function quote(
	{ starts, count, arrivals, services, cold }: Forecast,
	{ position, agoMs, overtaking, tokens }: ForecastPlace,
	misses: readonly number[],
): Quoted {
	const draws = new Float64Array(FUTURES);
	for (let future = 0; future < FUTURES; future++) {
		const played = starts.subarray(future * count, (future + 1) * count);
		const comes = arrivals[future] as Arrivals;
		const soFar = comes(agoMs);
		const startOf = (n: number) => Math.max(0, nth(played, n) - agoMs);
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
		// The later half of the starts are corrected the more the nearer they are to the p90, so that it is theirs.
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

/** By what factor a quote's p90 was missed, once the job started. */
export const missOf = (rawP90: number, startedMs: number): number =>
	(startedMs + NEAR_MS) / (rawP90 + NEAR_MS);

/** The factor with which nine in ten of the quotes would have been right. */
function correction(misses: readonly number[]): number {
	const right = Math.max(0, RIGHT - misses.length);
	const known = [...misses, ...Array<number>(right).fill(1)];
	known.sort((a, b) => a - b);
	return nth(known, 0.9 * (known.length - 1));
}

/** The n-th of rising numbers, n need not be whole; beyond the last by the pace of the later half. */
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

/** `servicesOf`, once for all budgets within a tenth or so of each other. */
export function byBudget(kept: Measurements): (tokens: number) => Services {
	const known: Services[] = [];
	return (tokens) => {
		const n = Math.round(4 * Math.log2(tokens));
		let services = known[n];
		if (!services) {
			services = servicesOf(kept, tokens);
			known[n] = services;
		}
		return services;
	};
}

/** Moves the first number of a heap, the least on top, to its place. */
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

/** Near enough: the sum of four even ones, of variance one. */
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
