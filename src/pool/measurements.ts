/**
 * What a pool measures: how long jobs keep a slot, how long workers take to become ready, how wrong
 * its quotes were. It keeps the newest of each. While there are few, priors fill them up: those of
 * a small language model on one machine, in a container that starts in a minute. Durations are
 * milliseconds.
 */

/** A job that succeeded. */
export interface ServedJob {
	/** From the grant to its first token; null where it had none. */
	firstTokenMs: number | null;
	/** The tokens that it produced, and the most that it might have. */
	tokens: number;
	budget: number;
	/** From the grant to its end. */
	ms: number;
}

/** For how long jobs waited for a worker, and whether it became ready or they stopped waiting. */
export interface WorkerStart {
	ms: number;
	came: boolean;
}

/** Stored as JSON, of bounded size. */
export interface Measurements {
	services: ServedJob[];
	/** From the first job that found no worker ready until one was. */
	colds: number[];
	/** The same for each worker by itself. */
	joins: WorkerStart[];
	/** The factor by which a job started later than the p90 of its quote, before corrections. */
	misses: number[];
}

const KEPT = { services: 256, colds: 32, joins: 64, misses: 128 };

export const noMeasurements = (): Measurements => ({
	services: [],
	colds: [],
	joins: [],
	misses: [],
});

/** Adds a value, and drops the oldest beyond what is kept. */
export function addMeasurement<K extends keyof Measurements>(
	measurements: Measurements,
	kind: K,
	value: Measurements[K][number],
): void {
	const list = measurements[kind] as Measurements[K][number][];
	list.push(value);
	if (list.length > KEPT[kind]) list.shift();
}

/** The normal distribution at 1/24, 3/24, … 23/24. */
const NORMAL = [
	-1.732, -1.15, -0.812, -0.549, -0.319, -0.105, 0.105, 0.319, 0.549, 0.812,
	1.15, 1.732,
];
/**
 * A first token after a second, then 40 ms a token, for half of the tokens that the job may
 * produce; each of the three spread by half.
 */
const PRIOR_SERVICES = NORMAL.map((z) => ({
	firstTokenMs: 1_000 * Math.exp(0.5 * z),
	msPerToken: 40,
	share: Math.min(1, 0.5 * Math.exp(0.5 * z)),
}));
const PRIOR_COLDS = [30_000, 45_000, 60_000, 90_000, 150_000];
/** One in four never becomes ready: at first nobody knows whether anything starts workers. */
const PRIOR_JOINS: WorkerStart[] = [
	{ ms: 60_000, came: true },
	{ ms: 90_000, came: true },
	{ ms: 120_000, came: true },
	{ ms: 3_600_000, came: false },
];
/** Fewer measurements than this are filled up with the prior. */
const ENOUGH_JOBS = 24;

/** How long jobs of one budget take: `ms` in rising order, `firstTokenMs` of the same jobs. */
export interface ServiceTimes {
	ms: Float64Array;
	firstTokenMs: Float64Array;
	mean: number;
	/** The standard error of the mean, as a share of it. */
	error: number;
}

/**
 * Estimated from the jobs that had at least this budget, their answers cut at it; from all jobs
 * where those are too few.
 * @param budget the most tokens a job may produce
 */
export function serviceTimes(
	{ services }: Measurements,
	budget: number,
): ServiceTimes {
	const larger = services.filter((service) => service.budget >= budget);
	const sample = larger.length >= ENOUGH_JOBS ? larger : services;
	const rows = sample.map(({ firstTokenMs, tokens, ms }) => {
		const first = firstTokenMs ?? ms;
		const share = tokens > budget ? budget / tokens : 1;
		return { first, ms: first + (ms - first) * share };
	});
	for (let n = rows.length; n < ENOUGH_JOBS; n++) {
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
		error: Math.sqrt(variance / Math.max(1, sample.length)) / mean,
	};
}

/** Rising. */
export const coldStarts = ({ colds }: Measurements): Float64Array =>
	Float64Array.from(
		colds.length >= PRIOR_COLDS.length
			? colds
			: [...colds, ...PRIOR_COLDS.slice(colds.length)],
	).sort();

/**
 * The chance that a worker is not ready yet after a time, at each time at which one became ready
 * (Kaplan-Meier estimate).
 */
export interface JoinCurve {
	ms: Float64Array;
	/** The chance right after that time. */
	absent: Float64Array;
}

export function joinCurve({ joins }: Measurements): JoinCurve {
	const starts = [...PRIOR_JOINS, ...joins].sort(
		(a, b) => a.ms - b.ms || Number(b.came) - Number(a.came),
	);
	const ms: number[] = [];
	const absent: number[] = [];
	let chance = 1;
	starts.forEach((join, n) => {
		if (!join.came) return;
		chance *= 1 - 1 / (starts.length - n);
		ms.push(join.ms);
		absent.push(chance);
	});
	return { ms: Float64Array.from(ms), absent: Float64Array.from(absent) };
}

/** The first index whose value is above `value`. */
export function firstAbove(rising: Float64Array, value: number): number {
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
 * How much longer something will take that has taken `age` so far, drawn from how long such things
 * took.
 * @param u in [0, 1)
 */
export function drawRemaining(
	rising: Float64Array,
	age: number,
	u: number,
): number {
	const from = firstAbove(rising, age);
	// It has taken longer than any before: the longer so far, the longer it may still take.
	if (from === rising.length) return (age * u) / 2;
	const n = from + Math.floor(u * (rising.length - from));
	return (rising[n] as number) - age;
}

/**
 * In how many milliseconds a worker becomes ready that has been awaited for `age`; infinite for
 * never.
 * @param u in [0, 1)
 */
export function drawJoin(
	{ ms, absent }: JoinCurve,
	age: number,
	u: number,
): number {
	const from = firstAbove(ms, age);
	const still = from === 0 ? 1 : (absent[from - 1] as number);
	const target = still * u;
	// `absent` falls, so the first one at or under the target.
	for (let n = from; n < ms.length; n++)
		if ((absent[n] as number) <= target) return (ms[n] as number) - age;
	return Number.POSITIVE_INFINITY;
}
