/**
 * What a pool has measured: how long jobs hold a slot, how long workers take to come, how wrong its
 * quotes were. Of each the
 * newest only. Until there is enough, priors stand in: a small language model on one machine, a container that starts in a minute.
 * Durations are milliseconds.
 */

/** A job that ended well. */
export interface Service {
	/** From the grant to its first token; null where it had none. */
	firstTokenMs: number | null;
	/** Tokens it produced, and the most it might have. */
	tokens: number;
	budget: number;
	/** From the grant to its end. */
	ms: number;
}

/** Jobs waited for a worker this long, and then it was ready, or they waited no more. */
export interface Joined {
	ms: number;
	came: boolean;
}

/** JSON, and bounded. */
export interface Measurements {
	services: Service[];
	/** From the first job that found no worker ready until one was. */
	colds: number[];
	/** The same of each worker by itself. */
	joins: Joined[];
	/** By what factor a job started later than its quote's p90 said, before corrections. */
	misses: number[];
}

const MOST = { services: 256, colds: 32, joins: 64, misses: 128 };

export const noMeasurements = (): Measurements => ({
	services: [],
	colds: [],
	joins: [],
	misses: [],
});

/** Adds the newest and forgets the oldest. */
export function remember<K extends keyof Measurements>(
	kept: Measurements,
	kind: K,
	value: Measurements[K][number],
): void {
	const list = kept[kind] as Measurements[K][number][];
	list.push(value);
	if (list.length > MOST[kind]) list.shift();
}

/** The normal distribution at 1/24, 3/24, … 23/24. */
const NORMAL = [
	-1.732, -1.15, -0.812, -0.549, -0.319, -0.105, 0.105, 0.319, 0.549, 0.812,
	1.15, 1.732,
];
/** A first token after a second, then 40 ms each, of half the tokens that the job may produce; each by half as much again or as little. */
const PRIOR_SERVICES = NORMAL.map((z) => ({
	firstTokenMs: 1_000 * Math.exp(0.5 * z),
	msPerToken: 40,
	share: Math.min(1, 0.5 * Math.exp(0.5 * z)),
}));
const PRIOR_COLDS = [30_000, 45_000, 60_000, 90_000, 150_000];
/** One in four never does: nobody knows yet whether something starts them. */
const PRIOR_JOINS: Joined[] = [
	{ ms: 60_000, came: true },
	{ ms: 90_000, came: true },
	{ ms: 120_000, came: true },
	{ ms: 3_600_000, came: false },
];
/** Fewer measurements than this are filled up with the prior. */
const ENOUGH = 24;

/** How long jobs of one budget take: `ms` in rising order, `firstTokenMs` of the same jobs. */
export interface Services {
	ms: Float64Array;
	firstTokenMs: Float64Array;
	mean: number;
	/** By how much the mean may be off, as a share of it: one standard error. */
	error: number;
}

/**
 * Estimated from jobs that had at least this budget, their answers cut at it; from all jobs where those are too few.
 * @param budget the most tokens a job may produce
 */
export function servicesOf(
	{ services }: Measurements,
	budget: number,
): Services {
	const larger = services.filter((service) => service.budget >= budget);
	const known = larger.length >= ENOUGH ? larger : services;
	const rows = known.map(({ firstTokenMs, tokens, ms }) => {
		const first = firstTokenMs ?? ms;
		const share = tokens > budget ? budget / tokens : 1;
		return { first, ms: first + (ms - first) * share };
	});
	for (let n = rows.length; n < ENOUGH; n++) {
		// In a mixed order, so that a few of them are spread as all are.
		const prior = PRIOR_SERVICES[(n * 5) % PRIOR_SERVICES.length];
		if (!prior) break;
		const first = prior.firstTokenMs;
		const ms = first + prior.msPerToken * prior.share * budget;
		rows.push({ first, ms });
	}
	rows.sort((a, b) => a.ms - b.ms);
	const ms = Float64Array.from(rows, (row) => row.ms);
	const mean = ms.reduce((sum, value) => sum + value, 0) / ms.length;
	const variance =
		ms.reduce((sum, value) => sum + (value - mean) ** 2, 0) / ms.length;
	return {
		ms,
		firstTokenMs: Float64Array.from(rows, (row) => row.first),
		mean,
		error: Math.sqrt(variance / Math.max(1, known.length)) / mean,
	};
}

/** Rising. */
export const coldsOf = ({ colds }: Measurements): Float64Array =>
	Float64Array.from(
		colds.length >= PRIOR_COLDS.length
			? colds
			: [...colds, ...PRIOR_COLDS.slice(colds.length)],
	).sort();

/** The chance that a worker is still not there after a time, at each time when one came (Kaplan and Meier's estimate). */
export interface Joining {
	ms: Float64Array;
	/** Right after it. */
	absent: Float64Array;
}

export function joiningOf({ joins }: Measurements): Joining {
	const known = [...PRIOR_JOINS, ...joins].sort(
		(a, b) => a.ms - b.ms || Number(b.came) - Number(a.came),
	);
	const ms: number[] = [];
	const absent: number[] = [];
	let chance = 1;
	known.forEach((join, n) => {
		if (!join.came) return;
		chance *= 1 - 1 / (known.length - n);
		ms.push(join.ms);
		absent.push(chance);
	});
	return { ms: Float64Array.from(ms), absent: Float64Array.from(absent) };
}

/** The first index whose value is above. */
export function above(rising: Float64Array, value: number): number {
	let low = 0;
	let high = rising.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if ((rising[middle] as number) > value) high = middle;
		else low = middle + 1;
	}
	return low;
}

/**
 * What is left of something that has taken `age` so far, drawn from how long such things took.
 * @param u in [0, 1)
 */
export function residual(rising: Float64Array, age: number, u: number): number {
	const from = above(rising, age);
	// Longer than any before: the longer it has taken, the longer it may still take.
	if (from === rising.length) return (age * u) / 2;
	const n = from + Math.floor(u * (rising.length - from));
	return (rising[n] as number) - age;
}

/**
 * When a worker that has been waited for comes, from now; infinite if never.
 * @param u in [0, 1)
 */
export function joinsIn(
	{ ms, absent }: Joining,
	age: number,
	u: number,
): number {
	const from = above(ms, age);
	const still = from === 0 ? 1 : (absent[from - 1] as number);
	const target = still * u;
	// `absent` falls, so the first one at or under the target.
	for (let n = from; n < ms.length; n++)
		if ((absent[n] as number) <= target) return (ms[n] as number) - age;
	return Number.POSITIVE_INFINITY;
}
