/** What a played day says of the pool. */
import type { Story, Told } from "./world.ts";

export interface Coverage {
	/** Jobs that were given a quote and started. */
	jobs: number;
	/** Shares of them that started by the quoted time. */
	underP50: number;
	underP90: number;
}

export interface Report {
	jobs: number;
	hours: number;
	coldStarts: number;
	start: Coverage;
	finish: Coverage;
	/** Quoted while no worker was up, and while one was. */
	cold: Coverage;
	warm: Coverage;
	/** The true wait over the quoted p50 and p90, in the median. */
	median: { wait: number; p50: number; p90: number };
	/** First jobs of accounts that had no other, the heaviest account apart. */
	lone: {
		jobs: number;
		/** The most grants that one other account got before it. */
		overtakenByOne: number;
		/** The most grants that all others got before it. */
		overtaken: number;
		medianWait: number;
	};
	wrongs: string[];
}

export function reportOf(story: Story): Report {
	const quoted = story.jobs.filter(({ quote }) => quote !== null);
	const start = (told: Told) => told.startedAt;
	const lone = story.jobs.filter(({ lone, account }) => lone && account > 0);
	const unique = new Set(story.epochs).size === story.epochs.length;
	const rising = story.epochs.every(
		(epoch, n) => n === 0 || epoch > (story.epochs[n - 1] as number),
	);
	return {
		jobs: story.jobs.length,
		hours: story.ms / 3_600_000,
		coldStarts: story.coldStarts,
		start: coverage(quoted, "start", start),
		finish: coverage(quoted, "finish", (told) =>
			told.firstTokenAt === null ? null : told.endedAt,
		),
		cold: coverage(
			quoted.filter(({ quote }) => quote?.cold),
			"start",
			start,
		),
		warm: coverage(
			quoted.filter(({ quote }) => !quote?.cold),
			"start",
			start,
		),
		median: {
			wait: median(quoted.map((told) => (told.startedAt ?? 0) - told.at)),
			p50: median(quoted.map(({ quote }) => quote?.start.p50 ?? 0)),
			p90: median(quoted.map(({ quote }) => quote?.start.p90 ?? 0)),
		},
		lone: {
			jobs: lone.length,
			overtakenByOne: Math.max(...lone.map((told) => told.overtakenByOne)),
			overtaken: Math.max(...lone.map((told) => told.overtaken)),
			medianWait: median(lone.map((told) => (told.startedAt ?? 0) - told.at)),
		},
		wrongs: [
			...story.wrongs,
			...(unique && rising ? [] : ["an epoch did not rise"]),
		],
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

function median(values: number[]): number {
	values.sort((a, b) => a - b);
	return values[values.length >> 1] ?? 0;
}
