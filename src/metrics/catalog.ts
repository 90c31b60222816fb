/**
 * What this deployment counts and measures, for `GET /metrics`. Names are stable: dashboards and
 * alerts use them.
 *
 * Runs in the Worker and in the objects, as all of metrics/ does.
 */

/** Each label has a fixed set of few values: never an id, never what a caller sent. */
interface Metric {
	type: "counter" | "histogram";
	help: string;
	labels: readonly string[];
	/** Rising upper bounds, without infinity. Histograms only. */
	buckets?: readonly number[];
}

const WAIT_S = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3_600];

export const CATALOG = {
	admissions_total: {
		type: "counter",
		help:
			"Calls that asked for a job, by their answer: new, same (a repeat), " +
			"or the code of the refusal.",
		labels: ["model", "answer"],
	},
	queue_seconds: {
		type: "histogram",
		help: "From a job's creation until it first had a slot.",
		labels: ["model"],
		buckets: WAIT_S,
	},
	first_token_seconds: {
		type: "histogram",
		help: "From a job's creation until its first token was in the log.",
		labels: ["model"],
		buckets: WAIT_S,
	},
	attempts_total: {
		type: "counter",
		help:
			"Attempts that ended: finished, canceled (with the job, or by its deadline), " +
			"interrupted (the edge restarted or the slot was lost), seam (planned), or a failure's code.",
		labels: ["model", "ending"],
	},
	seams_total: {
		type: "counter",
		help: "Answers that another attempt went on with after tokens were shown, planned or not.",
		labels: ["model", "planned"],
	},
	jobs_total: {
		type: "counter",
		help: "Jobs that ended and were settled, by their last status.",
		labels: ["model", "status"],
	},
	tokens_total: {
		type: "counter",
		help:
			"Tokens of settled jobs: prompt tokens that the model read once, " +
			"output tokens in the log.",
		labels: ["model", "kind"],
	},
	settle_lag_seconds: {
		type: "histogram",
		help: "From a job's end until its account acknowledged the settlement.",
		labels: ["model"],
		buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30, 60, 300, 3_600],
	},
	ledger_audits_total: {
		type: "counter",
		help:
			"Audits of an account's ledger that reached its end: clean, or mismatch, which freezes " +
			"the account.",
		labels: ["result"],
	},
} as const satisfies Record<string, Metric>;

export type Name = keyof typeof CATALOG;

type Labels<N extends Name> = Record<
	(typeof CATALOG)[N]["labels"][number],
	string
>;

/** One thing to count, or one value that was measured. */
export type Measurement = {
	[N in Name]: { name: N; labels: Labels<N>; value: number };
}[Name];

/**
 * Sums by series: the count of a counter; of a histogram, how many values fell into each bucket,
 * the last without a bound, and then the sum of the values.
 */
export type Sums = Record<string, number[]>;

const NAMES = Object.keys(CATALOG) as Name[];

/** A series' key: the metric's name and its labels' values, JSON. */
const keyOf = ({ name, labels }: Measurement): string =>
	JSON.stringify([
		name,
		...CATALOG[name].labels.map((label) => labels[label as never]),
	]);

/** The series of a key; null where the catalog does not have it any more. */
export function seriesOf(
	key: string,
): { name: Name; labels: Record<string, string> } | null {
	const [name, ...values] = JSON.parse(key) as [Name, ...string[]];
	if (!NAMES.includes(name)) return null;
	const { labels } = CATALOG[name];
	if (labels.length !== values.length) return null;
	return {
		name,
		labels: Object.fromEntries(
			labels.map((label, n) => [label, values[n]]),
		) as Record<string, string>,
	};
}

/** Adds measurements to the sums. */
export function count(sums: Sums, measured: readonly Measurement[]): void {
	for (const each of measured) add(sums, keyOf(each), sumOf(each));
}

/** Adds sums to sums. */
export function merge(sums: Sums, more: Sums): void {
	for (const [key, values] of Object.entries(more)) add(sums, key, values);
}

function add(sums: Sums, key: string, values: number[]): void {
	const before = sums[key];
	// Sums of another length were counted with other buckets: the series begins anew.
	sums[key] =
		before?.length === values.length
			? before.map((sum, n) => sum + (values[n] as number))
			: values;
}

function sumOf({ name, value }: Measurement): number[] {
	const metric: Metric = CATALOG[name];
	if (!metric.buckets) return [value];
	const sums = new Array<number>(metric.buckets.length + 2).fill(0);
	const bucket = metric.buckets.findIndex((bound) => value <= bound);
	sums[bucket < 0 ? metric.buckets.length : bucket] = 1;
	sums[metric.buckets.length + 1] = value;
	return sums;
}
