/**
 * A round on the real engine, greedy in float32: whatever dies in between, each answer is the one
 * that nobody interrupted.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as paths from "../../scripts/paths.mjs";
import { type Secrets, secretsOf } from "../../scripts/secrets.mjs";
import { textOf } from "../support/invariants.ts";
import { openAccount } from "./accounts.ts";
import { Caller, type Story } from "./caller.ts";
import { gatherFiles } from "./gather-files.ts";
import { lineTo } from "./line.ts";
import * as parts from "./parts.ts";
import { type Blow, type JobPlan, Random } from "./plan.ts";
import { atRest, wrongWith } from "./rest.ts";
import {
	interruptions,
	type Result,
	type Run,
	recorded,
	struck,
	toldBy,
} from "./result.ts";

const PHOTOS = ["cat.jpg", "coffee.jpg", "rocket.jpg", "astronaut.jpg"];
/**
 * Asked about a picture nano is brief; what it tells after one is as long as it may be, so that a
 * blow falls in the middle.
 */
const TURNS = [
	{
		role: "user",
		content: [
			{ type: "image" },
			{ type: "text", text: "What is in this picture?" },
		],
	},
	{ role: "assistant", content: "It is a picture." },
	{ role: "user", content: "Tell me a long fairy tale." },
];
const MAX_TOKENS = 96;
/** Each while two jobs run: the one whose reader calls for it, and another one. */
const BLOWS: Blow[] = ["kill edge", "cut workers", "kill edge", "cut callers"];

/**
 * The engine and the bucket are those that MINIGPT4_WORKER_URL and MINIGPT4_S3_URL name; without
 * them both are started, and the engine is killed as well.
 * @param limitMs after which the callers give up
 */
export const runEngine = ({
	seed,
	limitMs,
	onProgress = () => {},
}: {
	seed: number;
	limitMs: number;
	onProgress?: (doing: string) => void;
}): Promise<Result> =>
	recorded(seed, 0, limitMs, async (run) => {
		const { state, result, signal } = run;
		onProgress("the engine boots");
		const stage = await setTheStage(run);
		const from = new Random(seed, 0);
		const stories: Story[] = [];
		const texts: string[] = [];
		let asked = 0;
		/** @param onToken told how many `token` events the reader has seen */
		const ask = async (onToken: (tokens: number) => void = () => {}) => {
			const index = asked++;
			const question = index % PHOTOS.length;
			const caller = new Caller(jobOf(from, index), {
				url: stage.callers.url,
				account: stage.account,
				signal,
				body: await bodyOf(question),
				ends: ["succeeded"],
				text: () => texts[question] ?? null,
				tally: result.tally,
				struck: () => true,
				onToken,
			});
			const story = await caller.live();
			stories.push(story);
			return story;
		};
		for (const photo of PHOTOS) {
			onProgress(`${photo}, undisturbed`);
			const { readings } = await ask();
			texts.push(textOf(readings[0] ?? []));
		}
		for (const text of texts)
			if (text.length < 200) result.wrong.push(`this is too short: ${text}`);
		if (new Set(texts).size < PHOTOS.length)
			result.wrong.push("the pictures make no difference");
		for (const blow of stage.worker ? [...BLOWS, KILL] : BLOWS) {
			onProgress(blow);
			const after = 1 + from.below(2);
			const strike = (tokens: number) => {
				if (tokens !== after) return;
				struck(run, blow, "token");
				stage.fall(blow);
			};
			const pair = await Promise.all([ask(strike), ask()]);
			if (blow !== "cut callers" && !pair.some(wentOn))
				result.wrong.push(`${blow} interrupted nobody`);
			for (const part of stage.all) await part.settled();
		}
		onProgress("waiting for rest");
		await atRest(state);
		await stage.edge.stop();
		result.jobs = stories.length;
		result.starts = stage.edge.starts;
		const kept = gatherFiles(state);
		result.interrupted = interruptions(kept.jobs);
		result.wrong.push(
			...stories.flatMap(({ surprises }) => surprises),
			...wrongWith({
				...kept,
				...toldBy(stories),
				objects: null, // the bucket may be shared
			}),
		);
	});

/** Another attempt took over after something was shown. */
const wentOn = ({ readings: [events = []] }: Story): boolean => {
	const first = events.findIndex(({ type }) => type === "token");
	const again = events.findIndex(({ type }) => type === "job.retrying");
	return first >= 0 && again > first;
};

const KILL: Blow = "kill worker";

const jobOf = (from: Random, index: number): JobPlan => ({
	index,
	account: 0,
	by: from.one(["id", "key"]),
	name: from.ulid(),
	create: "stream",
	end: "none",
	endAfter: 0,
	faults: {},
	strikes: [],
	tokens: [],
	maxTokens: MAX_TOKENS,
	capped: false,
	every: 0,
	group: 1,
	// Who strikes must see the tokens as they come.
	hangUps: [],
	readers: [
		{ ms: 0, hangUps: [{ events: 2 + from.below(5), ms: from.below(500) }] },
		{ ms: from.below(1_000), hangUps: [] },
	],
	repeats: [from.below(1_000)],
});

async function bodyOf(question: number): Promise<object> {
	const samples = join(paths.root, "samples");
	const bytes = await readFile(join(samples, PHOTOS[question] as string));
	return {
		images: [{ url: `data:image/jpeg;base64,${bytes.toString("base64")}` }],
		messages: TURNS,
		temperature: 0,
		max_tokens: MAX_TOKENS,
	};
}

async function setTheStage({ state, stops, giveUp }: Run) {
	const given = process.env;
	const secrets: Secrets = {
		...secretsOf(state),
		...(given.MINIGPT4_WORKER_KEY && { workerKey: given.MINIGPT4_WORKER_KEY }),
		...(given.MINIGPT4_S3_ACCESS_KEY && {
			s3AccessKey: given.MINIGPT4_S3_ACCESS_KEY,
		}),
		...(given.MINIGPT4_S3_SECRET_KEY && {
			s3SecretKey: given.MINIGPT4_S3_SECRET_KEY,
		}),
	};
	let s3 = given.MINIGPT4_S3_URL;
	if (!s3) {
		const storage = await parts.storage(state, secrets);
		stops.push(() => storage.stop());
		await storage.start();
		s3 = storage.url;
	}
	let worker: parts.Part | null = null;
	let at = Number(new URL(given.MINIGPT4_WORKER_URL ?? "http://none:1").port);
	if (!given.MINIGPT4_WORKER_URL) {
		worker = await parts.engine(state, secrets, s3);
		stops.push(() => (worker as parts.Part).stop());
		await worker.start();
		at = worker.port;
	}
	const workers = await lineTo(at);
	stops.push(workers.stop);
	const edge = await parts.edge(
		...([state, secrets, s3] as const),
		() => [workers.url],
		() => ({}),
	);
	stops.push(() => edge.stop());
	await edge.start();
	const callers = await lineTo(edge.port);
	stops.push(callers.stop);
	const all = worker ? [edge, worker] : [edge];
	for (const part of all) part.onLost = giveUp;
	return {
		edge,
		worker,
		callers,
		all,
		account: await openAccount(
			edge.url,
			secrets.adminSecret,
			"engine",
			100_000_000,
		),
		fall(blow: Blow): void {
			if (blow === "kill edge") edge.kill(0);
			else if (blow === "kill worker") worker?.kill(0);
			else if (blow === "cut workers") workers.cut();
			else callers.cut();
		},
	};
}
