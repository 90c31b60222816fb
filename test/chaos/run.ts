/**
 * A run: everything is started, jobs are asked for while the plan strikes, and at the end all must
 * be as if nothing had happened.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as paths from "../../scripts/paths.mjs";
import { secretsOf } from "../../scripts/secrets.mjs";
import { IMAGE_TOKENS } from "../support/fake-worker-protocol.ts";
import type { Gathered } from "../support/invariants.ts";
import { ONE_EACH, oneEach } from "../support/prices.ts";
import { type KnownAccount, openAccount } from "./accounts.ts";
import { Caller, type Story } from "./caller.ts";
import { Control, type Striker } from "./control.ts";
import { gatherFiles, objectsIn } from "./gather-files.ts";
import { type Line, lineTo } from "./line.ts";
import * as parts from "./parts.ts";
import {
	answerOf,
	type Blow,
	type JobPlan,
	type Plan,
	planOf,
	promptOf,
	SPOILT,
} from "./plan.ts";
import { atRest, monthPasses, notAsAfterAMonth, wrongWith } from "./rest.ts";
import {
	interruptions,
	type Result,
	type Run,
	recorded,
	struck,
	toldBy,
} from "./result.ts";

export interface Progress {
	ended: number;
	jobs: number;
	blows: number;
	doing: string;
}

const DAY_MS = 24 * 60 * 60_000;

/** @param limitMs after which the callers give up, and the run has failed */
export const run = ({
	seed,
	jobs,
	limitMs,
	onProgress = () => {},
}: {
	seed: number;
	jobs: number;
	limitMs: number;
	onProgress?: (progress: Progress) => void;
}): Promise<Result> =>
	recorded(seed, jobs, limitMs, async (run) => {
		const { state, result } = run;
		let ended = 0;
		const progress = (doing: string) => {
			const blows = Object.values(result.blows).reduce((sum, n) => sum + n, 0);
			onProgress({ ended, jobs, blows, doing });
		};
		progress("starting");
		const plan = planOf(seed, jobs);
		const stage = await setTheStage(plan, run);
		const stories = await inTurn(plan, async (job) => {
			const story = await ask(job, stage, run);
			ended++;
			progress("asking");
			return story;
		});
		for (const each of stage.all) await each.settled();
		progress("waiting for rest");
		await atRest(state);
		await stage.edge.stop();
		const gathered: Gathered = {
			...gatherFiles(state),
			...toldBy(stories),
			objects: await stage.objects(),
		};
		result.wrong.push(
			...stories.flatMap(({ surprises }) => surprises),
			...wrongWith(gathered),
			...stage.control.left.map(
				({ job, strike }) =>
					`job ${job} never came by: ${strike.blow} at ${strike.point}`,
			),
		);
		result.interrupted = interruptions(gathered.jobs);
		progress("a month later");
		stage.later(32 * DAY_MS);
		await stage.edge.start();
		await monthPasses(stage.edge.url, state, stage.accounts);
		await stage.edge.stop();
		const left = { ...gatherFiles(state), objects: await stage.objects() };
		result.wrong.push(
			...wrongWith({ ...left, asked: [], readers: [] }),
			...notAsAfterAMonth(left.accounts, gathered.accounts),
			...left.objects.map((key) => `left in the bucket: ${key}`),
		);
		result.starts = stage.edge.starts;
	});

type Stage = Awaited<ReturnType<typeof setTheStage>>;

async function ask(
	job: JobPlan,
	{ callers, accounts, control, image }: Stage,
	{ signal, result }: Run,
): Promise<Story> {
	const account = accounts[job.account] as KnownAccount;
	return new Caller(job, {
		url: callers.url,
		account,
		signal,
		tally: result.tally,
		body: bodyOf(job, image),
		ends: endsOf(job),
		text: (end) => textOf(job, end),
		struck: () => !control.left.some((left) => left.job === job.index),
	}).live();
}

async function setTheStage(plan: Plan, run: Run) {
	const { state, stops } = run;
	const secrets = secretsOf(state);
	const s3 = await parts.storage(state, secrets);
	const lines: { callers?: Line; workers: Line[] } = { workers: [] };
	const fall = (blow: Blow, port: number, ms: number): boolean => {
		switch (blow) {
			case "kill edge":
				return edge.kill(0);
			case "kill worker":
				return workers.find((each) => each.port === port)?.kill(ms) ?? false;
			case "stop storage":
				return s3.kill(ms);
			case "cut workers":
				for (const line of lines.workers) line.cut();
				return true;
			case "cut callers":
				lines.callers?.cut();
				return true;
		}
	};
	const strike: Striker = ({ blow, point, ms }, { port }) => {
		const fell = fall(blow, port, ms);
		if (fell) struck(run, blow, point);
		return fell;
	};
	const control = new Control(plan, strike);
	await control.listen();
	stops.push(() => control.stop());
	const { seed, jobs } = plan;
	const args = [String(seed), String(jobs.length), control.url];
	const workers = [
		await parts.fakeWorker(state, secrets, args),
		await parts.fakeWorker(state, secrets, args),
	];
	let ahead = 0;
	const edge = await parts.edge(
		...([state, secrets, s3.url] as const),
		() => lines.workers.map(({ url }) => url),
		() => ({
			PRICES: JSON.stringify({
				version: ONE_EACH.version,
				models: { nano: ONE_EACH.rates },
			}),
			LIMIT_REQUESTS_PER_MINUTE: "6000",
			LIMIT_TOKENS_PER_MINUTE: "1000000000",
			CHAOS_URL: control.url,
			CHAOS_AHEAD_MS: String(ahead),
		}),
	);
	const all = [s3, ...workers, edge];
	for (const part of all) part.onLost = run.giveUp;
	stops.push(...all.map((part) => () => part.stop()));
	await Promise.all([s3.start(), ...workers.map((worker) => worker.start())]);
	for (const { port } of workers) lines.workers.push(await lineTo(port));
	await edge.start();
	const callers = await lineTo(edge.port);
	lines.callers = callers;
	stops.push(...[callers, ...lines.workers].map((line) => () => line.stop()));
	const accounts: KnownAccount[] = [];
	for (let n = 0; n < plan.accounts; n++)
		accounts.push(
			await openAccount(
				edge.url,
				secrets.adminSecret,
				`account ${n}`,
				creditFor(plan.jobs.filter(({ account }) => account === n)),
			),
		);
	const image = await readFile(
		join(paths.root, "test/fixtures/images/place.png"),
	);
	return {
		edge,
		all,
		callers,
		control,
		accounts,
		image,
		objects: () => objectsIn(s3.url, secrets),
		/** From its next start on, the edge's clock is so much ahead. */
		later: (ms: number) => {
			ahead = ms;
		},
	};
}

/** So many at once as the plan has callers, in the plan's order. */
async function inTurn<T>(
	{ jobs, callers }: Plan,
	live: (job: JobPlan) => Promise<T>,
): Promise<T[]> {
	const stories: T[] = [];
	let next = 0;
	await Promise.all(
		Array.from({ length: callers }, async () => {
			for (let n = next++; n < jobs.length; n = next++)
				stories[n] = await live(jobs[n] as JobPlan);
		}),
	);
	return stories;
}

/** What the job's prompt, with one image, and so many tokens cost. */
const priceOf = ({ index }: JobPlan, tokens: number): number =>
	oneEach({
		prompt_tokens: IMAGE_TOKENS + promptOf(index).length,
		output_tokens: tokens,
		images: 1,
	}).price;

/** More than any job of a run holds. */
const MOST_HELD = 2_000;
/**
 * What an account gets: what its jobs can cost, and enough for a few of them to hold the most that
 * they could at once. Towards the end a caller often has to wait until another job settles.
 */
const creditFor = (jobs: JobPlan[]): number =>
	jobs.reduce(
		(sum, job) =>
			sum + priceOf(job, Math.min(job.maxTokens, job.tokens.length)),
		5 * MOST_HELD,
	);

const bodyOf = (job: JobPlan, image: Buffer): object => ({
	images: [{ url: `data:image/png;base64,${image.toString("base64")}` }],
	prompt: promptOf(job.index),
	temperature: 0,
	...(job.capped
		? { max_tokens: 300, max_price: priceOf(job, job.maxTokens) }
		: { max_tokens: job.maxTokens }),
	expires_in: 3_600,
	...(job.end === "leave" && { on_disconnect: "cancel" }),
});

const isSpoilt = ({ faults }: JobPlan): boolean =>
	Object.values(faults).some((fault) => SPOILT.includes(fault));

function endsOf(job: JobPlan): string[] {
	const ends = ["succeeded"];
	if (["cancel", "expire", "leave"].includes(job.end)) ends.push("canceled");
	if (isSpoilt(job)) ends.push("failed");
	// Admitted, never started, and nobody asked again.
	if (job.end === "abandon") ends.push("expired");
	return ends;
}

const textOf = (job: JobPlan, end: string | null): string | null =>
	isSpoilt(job) && end !== "succeeded" ? null : answerOf(job);
