/** A played day: the scene, and what happened. Durations and times are milliseconds. */
import type { Eta } from "../../src/contract/pool.ts";

export interface Scene {
	seed: number;
	/** Jobs that arrive. */
	jobs: number;
	workers: readonly string[];
	slots: number;
	/** Mean of a job's time on a slot, in ms; log-normal. */
	service: number;
	spread: number;
	/** Jobs arrive at this share of what all workers can do. */
	load: number;
	/** So many times the mean rate in a burst. */
	burst: number;
	/** Share of the time that is burst. */
	bursty: number;
	/** Mean length of a burst, in ms. */
	burstLength: number;
	coldStart: number;
	/** Shares of the accounts in what arrives; the first one is the heavy one. */
	accounts: readonly number[];
	/** Share of the jobs that die without a word. */
	deaths: number;
}

/** A job as it went. */
export interface Told {
	job: string;
	account: number;
	at: number;
	/** What it was told when it came; null where it started at once. */
	quote: Eta | null;
	position: number;
	startedAt: number | null;
	/** Null where it died. */
	endedAt: number | null;
	/** Its time on a slot. */
	ranMs: number;
	/** Its account had no job waiting or running when it came, nor one started a minute before. */
	first: boolean;
	/** Slots that others got before it, and the most that one of them got. */
	overtaken: number;
	overtakenByOne: number;
}

/** The state of things at one poll of the autoscaler. */
export interface Signal {
	at: number;
	burst: boolean;
	waiting: number;
	running: number;
	readySlots: number;
	/** Seconds of work in the queue per ready slot. */
	queued: number;
	/** Workers that the autoscaler wants. */
	wanted: number;
}

export interface Story {
	scene: Scene;
	jobs: Told[];
	signals: Signal[];
	/** From none to one. */
	coldStarts: number;
	/** Epochs, in the order of their grants. */
	epochs: number[];
	/** What must not be; empty. */
	wrongs: string[];
	/** Of virtual time. */
	ms: number;
}
