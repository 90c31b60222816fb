// @ts-check
/**
 * `npm run bench -- gateway`: chat completions streamed through the edge, through the LiteLLM proxy
 * and straight from the engine that both ask. The engine follows a script, so that what a side adds
 * is the side's own. The sides take turns.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { thisTree } from "./edition.mjs";
import { edgeStack } from "./fake-stack.mjs";
import { rounded } from "./figures.mjs";
import { framed } from "./frame.mjs";
import {
	EDGE,
	LITELLM,
	STRAIGHT,
	sideFigures,
	table,
} from "./gateway-table.mjs";
import { installLiteLLM, startLiteLLM } from "./litellm.mjs";
import { cpuSeconds, edgeProcesses, proportionalMemory } from "./machine.mjs";

/** @typedef {import("../../scripts/terminal.mjs").Board} Board */
/** @typedef {import("./edition.mjs").Edition} Edition */

const HELP = `npm run bench -- gateway [options]

  --rounds <n>       of each number of streams, the sides taking turns (3)
  --tokens <n>       of each answer (128)
  --every <ms>       the engine says one (20)
  --seed <n>         is in the prompts (1)
`;
/** Streams that arrive at once, and how often in each round. */
const LEVELS = [
	{ streams: 1, bursts: 5 },
	{ streams: 16, bursts: 2 },
	{ streams: 64, bursts: 2 },
];
/** After its last byte a side may still have something to write down, which is part of its cost. */
const SETTLE_MS = 500;

/** @typedef {{ rounds: number, tokens: number, every: number, seed: number }} Options */
/**
 * `group`: of its processes; the engine has none to count.
 * @typedef {{ name: string, url: string, key: string, group?: number }} Side
 */
/** @typedef {import("./gateway-table.mjs").Burst} Burst */

/** @param {string[]} args @returns {Promise<number>} exit code */
export const gateway = (args) =>
	framed(args, HELP, { rounds: 3, tokens: 128, every: 20, seed: 1 }, measure);

/**
 * @param {Options} options @param {Board} board @param {Edition[]} editions
 * @returns {Promise<import("./frame.mjs").Measured>}
 */
async function measure(options, board, editions) {
	const version = await installLiteLLM(board);
	const booting = board.row("sides", "booting");
	const script = new URL("scripted-engine.mjs", import.meta.url);
	const engine = fork(fileURLToPath(script), [
		String(options.tokens),
		String(options.every),
	]);
	const [{ port }] = await once(engine, "message");
	const url = `http://127.0.0.1:${port}`;
	const litellm = await startLiteLLM(url);
	/** @type {Side[]} */
	const sides = [
		{ name: STRAIGHT, url, key: "-" },
		{ name: LITELLM, ...litellm, group: litellm.daemon.pid },
	];
	for (const edition of editions) {
		const { edge, key } = await edgeStack({
			name: "bench-gateway",
			edition,
			startWorker: async () => ({ url, stop: async () => {} }),
		});
		const name = edition === thisTree ? EDGE : `${EDGE} ${edition.name}`;
		sides.push({ name, key, url: edge.url, group: edge.daemon.pid });
	}
	booting.done(sides.map(({ name }) => name).join(", "));

	const expected = Array.from(
		{ length: options.tokens },
		(_, n) => ` word${n}`,
	).join("");
	let prompts = 0;
	/** @param {Side} side @param {number} streams @returns {Promise<Burst>} */
	const burst = async ({ name, url, key, group }, streams) => {
		const processes = group === undefined ? [] : edgeProcesses(group);
		const cpu = () =>
			processes.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);
		const before = cpu();
		const from = performance.now();
		const answers = await Promise.all(
			Array.from({ length: streams }, () => {
				const prompt = `Seed ${options.seed}, question ${prompts++}: what is a projection layer?`;
				return ask(url, key, prompt, options.tokens);
			}),
		);
		const seconds = (performance.now() - from) / 1000;
		if (answers.some(({ text }) => text !== expected))
			throw new Error(`${name}: an answer is not what the engine said`);
		await sleep(SETTLE_MS);
		return {
			ttft: answers.map(({ ttft }) => ttft),
			seconds,
			cpu: cpu() - before,
			tokens: streams * options.tokens,
			MiB: processes.reduce((sum, { pid }) => sum + proportionalMemory(pid), 0),
		};
	};

	const warming = board.row("warm-up");
	for (const side of sides)
		for (const { streams } of LEVELS) await burst(side, streams);
	warming.done("");
	/** @type {Record<string, Burst[]>} */
	const found = {};
	for (let round = 0; round < options.rounds; round++) {
		const progress = board.row(`round ${round + 1}`);
		// Each round another one begins, so that a drift of the machine favours none.
		const first = round % sides.length;
		const order = [...sides.slice(first), ...sides.slice(0, first)];
		for (const { streams, bursts } of LEVELS)
			for (const side of order) {
				progress.detail = `${streams} streams, ${side.name}`;
				for (let n = 0; n < bursts; n++) {
					found[`${streams} ${side.name}`] ??= [];
					found[`${streams} ${side.name}`]?.push(await burst(side, streams));
				}
			}
		progress.done("");
	}
	engine.disconnect();

	const levels = LEVELS.map(({ streams }) => {
		const of = (/** @type {string} */ name) =>
			found[`${streams} ${name}`] ?? [];
		return {
			streams,
			sides: Object.fromEntries(
				sides.map(({ name }) => [name, sideFigures(of(name), of(STRAIGHT))]),
			),
		};
	});
	return {
		figures: { litellm: version, levels: rounded(levels) },
		table: table(levels),
	};
}

/**
 * One streamed chat completion; what follows its first text is parsed only after all of it came.
 * @param {string} url @param {string} key @param {string} content @param {number} tokens
 * @returns {Promise<{ ttft: number, text: string }>} `ttft`: to the first text, in ms
 */
async function ask(url, key, content, tokens) {
	const from = performance.now();
	const response = await fetch(`${url}/v1/chat/completions`, {
		method: "POST",
		headers: {
			Authorization: `Bearer ${key}`,
			"Content-Type": "application/json",
		},
		body: JSON.stringify({
			model: "nano",
			stream: true,
			max_tokens: tokens,
			temperature: 0,
			messages: [{ role: "user", content }],
		}),
	});
	if (!response.ok || !response.body)
		throw new Error(
			`${url} answered ${response.status}: ${await response.text()}`,
		);
	let ttft = Number.NaN;
	/** @type {Uint8Array[]} */
	const came = [];
	for await (const bytes of response.body) {
		came.push(bytes);
		if (
			Number.isNaN(ttft) &&
			/"content": ?"[^"]/.test(String(Buffer.from(bytes)))
		)
			ttft = performance.now() - from;
	}
	let text = "";
	for (const [, data = ""] of String(Buffer.concat(came)).matchAll(
		/^data: (\{.*)$/gm,
	))
		text += JSON.parse(data).choices?.[0]?.delta?.content ?? "";
	return { ttft, text };
}
