/** What a run comes to. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Gathered, GatheredJob } from "../support/invariants.ts";
import type { Story, Tally } from "./caller.ts";
import type { Blow, Point } from "./plan.ts";

export interface Result {
	seed: number;
	jobs: number;
	/** What was found wrong, one line each; empty where all is well. */
	wrong: string[];
	/** Of the edge, by where a job was. */
	kills: Partial<Record<Point, number>>;
	blows: Partial<Record<Blow, number>>;
	tally: Tally;
	/** Attempts after which a job needed another one. */
	interrupted: number;
	/** Starts of the edge, in ms. */
	starts: number[];
	seconds: number;
	/** Where data and logs are, if something was wrong. */
	state: string | null;
}

/** A run in progress. */
export interface Run {
	result: Result;
	/** Folder of its data and logs. */
	state: string;
	/** What to stop at the end, the last first. */
	stops: (() => Promise<unknown>)[];
	/** Aborts when the callers must give up. */
	signal: AbortSignal;
	giveUp: () => void;
}

/**
 * Lives a run to its end, whatever it throws; leaves nothing running, and no files if all is well.
 * @param limitMs after which the callers give up
 */
export async function recorded(
	seed: number,
	jobs: number,
	limitMs: number,
	live: (run: Run) => Promise<void>,
): Promise<Result> {
	const began = Date.now();
	const state = await mkdtemp(join(tmpdir(), "minigpt4-chaos-"));
	const result: Result = {
		seed,
		jobs,
		wrong: [],
		kills: {},
		blows: {},
		starts: [],
		state,
		tally: { retries: 0, poor: 0, resumes: 0, events: 0, ended: {} },
		interrupted: 0,
		seconds: 0,
	};
	const stops: Run["stops"] = [];
	const over = new AbortController();
	const giveUp = () => over.abort();
	const late = setTimeout(giveUp, limitMs);
	try {
		await live({ result, state, stops, signal: over.signal, giveUp });
	} catch (error) {
		result.wrong.push(String((error as Error)?.stack ?? error));
	}
	clearTimeout(late);
	giveUp();
	for (const stop of stops.reverse())
		await stop().catch((error) => result.wrong.push(`stopping: ${error}`));
	if (result.wrong.length === 0) {
		await rm(state, { recursive: true, force: true });
		result.state = null;
	}
	result.seconds = (Date.now() - began) / 1000;
	return result;
}

export function struck({ result }: Run, blow: Blow, point: Point): void {
	result.blows[blow] = (result.blows[blow] ?? 0) + 1;
	if (blow === "kill edge")
		result.kills[point] = (result.kills[point] ?? 0) + 1;
}

export const interruptions = (jobs: GatheredJob[]): number =>
	jobs
		.flatMap(({ log }) => log ?? [])
		.filter(({ type }) => type === "job.retrying").length;

/** What was asked and read, for the invariants. */
export const toldBy = (
	stories: Story[],
): Pick<Gathered, "asked" | "readers"> => ({
	asked: stories.map(({ asked }) => asked),
	readers: stories.flatMap(({ asked, readings }) =>
		readings.map((events) => ({
			account: asked.account,
			job: asked.ids[0] ?? "",
			after: 0,
			events,
		})),
	),
});
