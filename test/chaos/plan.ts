/**
 * What a run will do, all of it from its seed: the jobs, how their callers behave, what their
 * workers do wrong, and what dies when.
 */
import {
	FAULTS,
	type Fault,
	type FaultName,
} from "../support/fake-worker-faults.ts";

/** Where a job is when something strikes. */
export const WINDOWS = {
	admitted: "after admit",
	claimed: "after claim",
	leased: "after lease",
	token: "mid-stream",
	answered: "after the last token",
	settled: "after settle",
	erased: "after erasure",
} as const;
export type Point = keyof typeof WINDOWS;

/** Those of which each is struck as often as the others. */
export const KILL_POINTS: Point[] = [
	"admitted",
	"claimed",
	"leased",
	"token",
	"answered",
	"settled",
];

export type Blow =
	/** `kill -9`, the whole process group. */
	| "kill edge"
	| "kill worker"
	/** All connections break. */
	| "cut workers"
	| "cut callers"
	/** `kill -9`, and back after `ms`. */
	| "stop storage";

export interface Strike {
	point: Point;
	blow: Blow;
	/** Of a `token` point: how many must have been sent. */
	tokens: number;
	/** How long it lasts, where that is ours to say. */
	ms: number;
}

export interface JobPlan {
	index: number;
	account: number;
	/** How the caller names it: by `PUT /v1/jobs/{id}`, or by an `Idempotency-Key`. */
	by: "id" | "key";
	/** A ULID; the key is made of it too. */
	name: string;
	create: "plain" | "stream" | "wait";
	tokens: string[];
	maxTokens: number;
	/** Whether `max_price` ends the answer there, and not `max_tokens`. */
	capped: boolean;
	every: number;
	group: number;
	/** By attempt. */
	faults: Record<number, FaultName>;
	/** After how many events the reader hangs up, each time, and for how long. */
	hangUps: { events: number; ms: number }[];
	/** Further readers, and when they come. */
	readers: { ms: number; hangUps: JobPlan["hangUps"] }[];
	/**
	 * What the caller does to the job: `cancel` after some tokens, `expire` by `Cancel-After`,
	 * `leave` for good where that cancels it, `delete` it when it ended, `abandon` it as soon as the
	 * first call for it was sent, whatever the answer.
	 */
	end: "none" | "cancel" | "expire" | "leave" | "delete" | "abandon";
	/** Tokens seen before `cancel` or `leave`. */
	endAfter: number;
	/** When the creation is sent once more, beside everything else. */
	repeats: number[];
	strikes: Strike[];
}

export interface Plan {
	seed: number;
	accounts: number;
	/** Callers at once. */
	callers: number;
	jobs: JobPlan[];
}

/** Faults after which another attempt gives the whole answer. */
const MENDED: FaultName[] = [
	"is overloaded",
	"is starting",
	"is draining",
	"has an engine that failed",
	"cannot fetch an image",
	"refuses the key",
	"serves another model",
	"loses its engine mid-answer",
	"drains mid-answer",
	"is not there",
	"dies before the first token",
	"dies mid-answer",
	"dies after some bytes",
	"dies inside a character",
	"ends its stream after some bytes",
	"ends its stream inside a character",
	"is slow",
	"ends without `done`",
	"sends ids that are none",
	"sends data that is not JSON",
	"sends events of its own",
	"is hidden by an error page",
	"is hidden by a page that says 200",
];
/** Mended too, after half a minute. */
const SILENT: FaultName[] = [
	"never answers",
	"falls silent before the first token",
	"falls silent mid-answer",
];
/** Faults after which the answer is not sold. */
export const SPOILT: FaultName[] = [
	"calls the request wrong",
	"repeats an event",
	"drops an event",
	"sends more tokens than asked",
	"counts too many tokens",
	"counts too few tokens",
	"sends ids of another text",
	"sends bytes that swallow an event",
];

/** The edge is killed at all points equally often. */
export function planOf(seed: number, jobs: number): Plan {
	const kills = Math.max(24, Math.ceil(jobs / 6));
	const plan: Plan = {
		seed,
		accounts: 3,
		callers: 16,
		jobs: Array.from({ length: jobs }, (_, index) => jobOf(seed, index)),
	};
	const from = new Random(seed, -1);
	const order = from.shuffled(plan.jobs.map(({ index }) => index));
	const struck = order.slice(0, kills).sort((a, b) => a - b);
	const points = from.shuffled(
		struck.map((_, n) => KILL_POINTS[n % KILL_POINTS.length] as Point),
	);
	for (const [n, index] of struck.entries()) {
		const job = plan.jobs[index] as JobPlan;
		const point = points[n] as Point;
		strike(job, point, "kill edge", from);
		// Who called may be gone for good as well: then the account alone looks after the job.
		if (point === "admitted") job.end = from.one(["none", "abandon"]);
	}
	const others = order.slice(kills);
	const blows: Blow[] = [
		"kill worker",
		"cut workers",
		"stop storage",
		"cut callers",
	];
	for (const [n, index] of others.slice(0, Math.ceil(jobs / 4)).entries()) {
		const job = plan.jobs[index] as JobPlan;
		const blow = blows[n % blows.length] as Blow;
		strike(job, blow === "stop storage" ? "leased" : "token", blow, from);
	}
	// A job that is being erased comes late, so it is an extra.
	const erased = plan.jobs.filter(({ end }) => end === "delete").at(-1);
	if (erased) strike(erased, "erased", "kill edge", from);
	return plan;
}

/** Nothing else may end the job before it is struck. */
function strike(job: JobPlan, point: Point, blow: Blow, from: Random): void {
	if (job.end !== "delete") job.end = "none";
	for (const [attempt, fault] of Object.entries(job.faults))
		if (SPOILT.includes(fault)) delete job.faults[Number(attempt)];
	const last = Math.min(job.tokens.length, job.maxTokens) - job.group;
	// An answer of one group has no middle: it is struck before its first token.
	const tokens =
		point === "token" ? Math.min(last, 1 + from.below(last - 1)) : 0;
	job.strikes.push({ point, blow, tokens, ms: 300 + from.below(2_500) });
}

function jobOf(seed: number, index: number): JobPlan {
	const from = new Random(seed, index);
	const length = from.chance(0.1) ? from.below(4) + 8 : 10 + from.below(60);
	const tokens = Array.from({ length }, () => from.one(PIECES));
	const hangUps = () =>
		Array.from({ length: from.chance(0.4) ? 1 + from.below(3) : 0 }, () => ({
			events: 1 + from.below(12),
			ms: from.below(1_500),
		}));
	const faults: JobPlan["faults"] = {};
	if (from.chance(0.3)) faults[1] = from.one(MENDED);
	if (from.chance(0.15)) faults[2] = from.one(MENDED);
	if (from.chance(0.03)) faults[1] = from.one(SILENT);
	if (from.chance(0.06)) faults[1] = from.one(SPOILT);
	const cut = from.chance(0.15);
	// What comes twice is found by the worker's count, unless the answer's budget ends before.
	const countable = faults[1] !== "repeats an event";
	const maxTokens = cut && countable ? Math.ceil(length / 2) : 300;
	const plan: JobPlan = {
		index,
		account: from.below(3),
		by: from.one(["id", "key"]),
		name: from.ulid(),
		create: from.one(["plain", "stream", "stream", "wait"]),
		tokens,
		// One that is cut short now and then.
		maxTokens,
		capped: false,
		every: 5 + from.below(60),
		group: from.chance(0.2) ? 1 + from.below(4) : 1,
		faults,
		hangUps: hangUps(),
		readers: Array.from({ length: from.below(3) }, () => ({
			ms: from.below(2_000),
			hangUps: hangUps(),
		})),
		end: from.chance(0.45)
			? from.one(["cancel", "cancel", "expire", "leave", "delete", "delete"])
			: "none",
		endAfter: from.below(length),
		repeats: Array.from({ length: from.below(3) }, () => from.below(4_000)),
		strikes: [],
	};
	return { ...plan, capped: maxTokens < 300 && from.chance(0.5) };
}

/** What is played when a worker is asked for this job. */
export const faultsOf = ({ faults }: JobPlan): Record<number, Fault> =>
	Object.fromEntries(
		Object.entries(faults).map(([attempt, name]) => [attempt, FAULTS[name]]),
	);

/** What the caller gets if nothing ends the job early. */
export const answerOf = ({ tokens, maxTokens }: JobPlan): string =>
	tokens.slice(0, maxTokens).join("");

/** The prompt by which a worker knows which job it serves. */
export const promptOf = (index: number): string => `Job ${index}.`;
export const indexOf = (prompt: string): number =>
	Number(/^Job (\d+)\.$/.exec(prompt)?.[1]);

/** Words, characters of two to four bytes, pieces of none, and what JSON and SSE must escape. */
const PIECES = [
	" the",
	" cat",
	" sat",
	" on",
	" a",
	" mat",
	".",
	",",
	"\n",
	" über",
	" é",
	" 日本",
	"語",
	" 😀",
	"👩‍🚀",
	"",
	"",
	' "',
	"\\",
	"\n\n",
	"data:",
	"\u2028",
];

/** Numbers that look random and are the same each time: a SplitMix of 32 bits. */
export class Random {
	#state: number;

	constructor(seed: number, stream: number) {
		this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) + stream;
		this.#next();
	}

	#next(): number {
		this.#state = (this.#state + 0x9e3779b9) | 0;
		let x = this.#state;
		x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
		x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
		return (x ^ (x >>> 15)) >>> 0;
	}

	/** From 0, below n. */
	below(n: number): number {
		return this.#next() % Math.max(1, n);
	}

	chance(of: number): boolean {
		return this.#next() < of * 2 ** 32;
	}

	one<T>(of: readonly T[]): T {
		return of[this.below(of.length)] as T;
	}

	shuffled<T>(of: readonly T[]): T[] {
		const left = [...of];
		return of.map(() => left.splice(this.below(left.length), 1)[0] as T);
	}

	ulid(): string {
		const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
		return Array.from({ length: 26 }, (_, n) =>
			digits.charAt(this.below(n === 0 ? 8 : 32)),
		).join("");
	}
}
