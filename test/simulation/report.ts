/** What a played day says of the pool. */
import type { Signal, Story, Told } from "./story.ts";

export interface Coverage {
	/** Jobs that were given a quote and got there. */
	jobs: number;
	/** Shares of them that were there by the quoted time. */
	underP50: number;
	underP90: number;
}

export interface Report {
	seed: number;
	jobs: number;
	hours: number;
	/** Busy time of all slots there could be. */
	utilisation: number;
	/** Times that the first worker had to come. */
	coldStarts: number;
	start: Coverage;
	/**
	 * Of those: jobs quoted while no worker was up; jobs of the heaviest account, and of all others.
	 */
	cold: Coverage;
	heavy: Coverage;
	light: Coverage;
	finish: Coverage;
	/** Milliseconds, in the median over quoted jobs: the true wait, and the quotes. */
	median: { wait: number; p50: number; p90: number };
	/**
	 * First jobs of the light accounts: the most slots that one other account got before one of them,
	 * and that all got.
	 */
	first: {
		jobs: number;
		byOne: number;
		byAll: number;
		medianWait: number;
	};
	/**
	 * Seconds of queued work per ready slot as the autoscaler read it, and the share of its readings
	 * with no worker at all.
	 */
	signal: { calm: number; burst: number; most: number; none: number };
	/** What must not be; empty. */
	wrongs: string[];
}

/** What the picture is drawn from. */
export interface Played {
	report: Report;
	signals: Signal[];
	/** Of each quoted job: the account, and in seconds the quoted p50 and p90 and the true wait. */
	quotes: [account: number, p50: number, p90: number, waited: number][];
	/** Of the first jobs of light accounts: the slots that others got before. */
	before: number[];
}

export function reportOf({ scene, ...story }: Story): Report {
	const quoted = story.jobs.filter(({ quote }) => quote !== null);
	const starts = (jobs: Told[]) =>
		coverage(jobs, "start", (told) => told.startedAt);
	const wait = (told: Told) => (told.startedAt ?? Number.NaN) - told.at;
	const first = story.jobs.filter((told) => told.first && told.account > 0);
	const busy = story.jobs.reduce((sum, told) => sum + told.ranMs, 0);
	const slots = scene.workers.length * scene.slots;
	return {
		seed: scene.seed,
		jobs: story.jobs.length,
		hours: story.ms / 3_600_000,
		utilisation: busy / slots / story.ms,
		coldStarts: story.coldStarts,
		start: starts(quoted),
		cold: starts(quoted.filter(({ quote }) => quote?.cold)),
		heavy: starts(quoted.filter(({ account }) => account === 0)),
		light: starts(quoted.filter(({ account }) => account > 0)),
		finish: coverage(quoted, "finish", (told) => told.endedAt),
		median: {
			wait: median(quoted.map(wait)),
			p50: median(quoted.map(({ quote }) => quote?.start.p50 ?? 0)),
			p90: median(quoted.map(({ quote }) => quote?.start.p90 ?? 0)),
		},
		first: {
			jobs: first.length,
			byOne: Math.max(...first.map((told) => told.overtakenByOne)),
			byAll: Math.max(...first.map((told) => told.overtaken)),
			medianWait: median(first.map(wait)),
		},
		signal: signalOf(story.signals),
		wrongs: wrongsOf(story),
	};
}

function coverage(
	jobs: readonly Told[],
	phase: "start" | "finish",
	reached: (told: Told) => number | null,
): Coverage {
	const known = jobs.filter((told) => reached(told) !== null);
	const share = (by: "p50" | "p90") =>
		known.filter(
			(told) =>
				(reached(told) as number) - told.at <= (told.quote?.[phase][by] ?? 0),
		).length / known.length;
	return {
		jobs: known.length,
		underP50: share("p50"),
		underP90: share("p90"),
	};
}

function signalOf(signals: readonly Signal[]): Report["signal"] {
	const mean = (of: readonly Signal[]) =>
		of.reduce((sum, { queued }) => sum + queued, 0) / of.length;
	return {
		calm: mean(signals.filter(({ burst }) => !burst)),
		burst: mean(signals.filter(({ burst }) => burst)),
		most: Math.max(...signals.map(({ queued }) => queued)),
		none:
			signals.filter(({ readySlots, wanted }) => readySlots + wanted === 0)
				.length / signals.length,
	};
}

function wrongsOf({ wrongs, epochs, jobs }: Omit<Story, "scene">): string[] {
	const rising = epochs.every(
		(epoch, n) => n === 0 || epoch > (epochs[n - 1] as number),
	);
	const forgotten = jobs.filter(({ startedAt }) => startedAt === null).length;
	return [
		...wrongs,
		...(rising ? [] : ["an epoch did not rise"]),
		...(forgotten ? [`${forgotten} jobs never started`] : []),
	];
}

function median(values: number[]): number {
	values.sort((a, b) => a - b);
	return values[values.length >> 1] ?? 0;
}
