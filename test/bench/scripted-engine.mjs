// @ts-check
/**
 * One engine behind every side of the gateway bench, in a process of its own:
 * `scripted-engine.mjs <tokens> <ms>`. Each answer is the same tokens, one each so many
 * milliseconds from the request's arrival on, in whichever protocol it is asked: our worker's
 * (docs/worker-protocol.md), or OpenAI's chat completions. A late timer makes no later token later.
 * It prints its port and ends with its parent.
 */
import { createServer } from "node:http";
import { FIRST_ID, promptIdsOf } from "../support/fake-worker-protocol.ts";

const [count, every] = process.argv.slice(2).map(Number);
const tokens = Array.from({ length: count ?? 0 }, (_, n) => ` word${n}`);

const READY = {
	status: "ready",
	model: "nano",
	digest: "d".repeat(64),
	slots: 1_024,
	context_length: 2_048,
	image_tokens: 7,
	max_images: 4,
	max_bytes_per_token: 16,
	reader: false,
};

/**
 * How a protocol says it.
 * @typedef {object} Words
 * @property {string} begin what comes before the first token
 * @property {(n: number) => string} token
 * @property {string} end
 */

/** @param {any} body @returns {Words} */
function ofWorker(body) {
	const event = (/** @type {string} */ name, /** @type {object} */ data) =>
		`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
	const ids = promptIdsOf(body);
	const prompt_tokens = ids.length;
	return {
		begin: event("prompt", { prompt_token_ids: ids, prompt_tokens }),
		token: (n) =>
			event("token", { index: n, token_ids: [FIRST_ID + n], text: tokens[n] }),
		end: event("done", {
			finish_reason: "stop",
			prompt_tokens,
			output_tokens: tokens.length,
		}),
	};
}

/** @param {any} body @returns {Words} */
function ofOpenAI({ model }) {
	const created = Math.floor(Date.now() / 1000);
	/** @param {object} delta @param {string | null} finish_reason */
	const chunk = (delta, finish_reason = null) =>
		`data: ${JSON.stringify({
			id: "chatcmpl-scripted",
			object: "chat.completion.chunk",
			created,
			model,
			choices: [{ index: 0, delta, finish_reason }],
		})}\n\n`;
	return {
		begin: chunk({ role: "assistant", content: "" }),
		token: (n) => chunk({ content: tokens[n] }),
		end: `${chunk({}, "stop")}data: [DONE]\n\n`,
	};
}

/**
 * @param {import("node:http").ServerResponse} response
 * @param {Words} words @param {number} from
 */
function answer(response, words, from) {
	response.writeHead(200, { "Content-Type": "text/event-stream" });
	response.write(words.begin);
	let n = 0;
	const next = () => {
		let due = "";
		for (; n < tokens.length && performance.now() >= dueAt(n); n++)
			due += words.token(n);
		if (n === tokens.length) return response.end(due + words.end);
		if (due) response.write(due);
		timer = setTimeout(next, wait(n));
	};
	const dueAt = (/** @type {number} */ token) =>
		from + (token + 1) * (every ?? 0);
	const wait = (/** @type {number} */ token) =>
		Math.max(0, dueAt(token) - performance.now());
	let timer = setTimeout(next, wait(0));
	response.on("close", () => clearTimeout(timer));
}

const server = createServer(async (request, response) => {
	const from = performance.now();
	/** @param {object} body */
	const json = (body, status = 200) =>
		response
			.writeHead(status, { "Content-Type": "application/json" })
			.end(JSON.stringify(body));
	if (request.url === "/readyz") return json(READY);
	let text = "";
	for await (const bytes of request) text += bytes;
	const body = JSON.parse(text || "{}");
	if (request.url === "/v1/generate") answer(response, ofWorker(body), from);
	else if (request.url === "/v1/chat/completions")
		answer(response, ofOpenAI(body), from);
	else json({ error: `the script has no ${request.url}` }, 404);
});
server.keepAliveTimeout = 600_000;
server.listen(0, "127.0.0.1", () => process.send?.(server.address()));
process.on("disconnect", () => process.exit());
