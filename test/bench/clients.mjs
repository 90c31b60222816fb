// @ts-check
/** Asks the edge and the worker itself the same question, timed where the answer arrives. */
import { events } from "./sse.mjs";

/**
 * @typedef {object} Question
 * @property {string} base64 a JPEG
 * @property {string} prompt
 * @property {number} tokens the longest answer
 * @property {string} id unique
 */
/**
 * Times in ms; `ttft`: to the first text.
 * @typedef {{ ttft: number, ms: number, tokens: number, text: string }} Answer
 */
/** @typedef {(question: Question) => Promise<Answer>} Client */

/**
 * @param {string} url @param {string} key @param {unknown} body
 * @param {(event: string, data: any) => number | undefined} onEvent returns the tokens at the end
 * @returns {Promise<Answer>}
 */
async function ask(url, key, body, onEvent) {
	const payload = JSON.stringify(body);
	const from = performance.now();
	const response = await fetch(url, {
		method: "POST",
		headers: {
			Authorization: `Bearer ${key}`,
			"Content-Type": "application/json",
			Accept: "text/event-stream",
		},
		body: payload,
	});
	if (!response.ok)
		throw new Error(
			`POST ${url} answered ${response.status}: ${await response.text()}`,
		);
	let ttft = Number.NaN;
	let text = "";
	for await (const { event, data } of events(response)) {
		if (event === "token" && data.text) {
			if (!text) ttft = performance.now() - from;
			text += data.text;
		}
		const tokens = onEvent(event, data);
		if (tokens !== undefined)
			return { ttft, ms: performance.now() - from, tokens, text };
	}
	throw new Error(`POST ${url}: the stream ended without \`done\``);
}

/** @param {string} url @param {string} key @returns {Client} */
export const edgeClient = (url, key) => (question) =>
	ask(
		`${url}/v1/jobs`,
		key,
		{
			model: "nano",
			images: [{ url: `data:image/jpeg;base64,${question.base64}` }],
			prompt: question.prompt,
			max_tokens: question.tokens,
			temperature: 0,
			repetition_penalty: 1,
		},
		(event, data) => {
			if (event === "job.failed")
				throw new Error(`job failed: ${JSON.stringify(data.error)}`);
			return event === "done" ? data.tokens : undefined;
		},
	);

/** @param {string} url @param {string} key @returns {Client} */
export const workerClient = (url, key) => (question) =>
	ask(
		`${url}/v1/generate`,
		key,
		{
			request_id: question.id,
			model: "nano",
			messages: [
				{
					role: "user",
					content: [{ type: "image" }, { type: "text", text: question.prompt }],
				},
			],
			images: [{ id: question.id, data: question.base64 }],
			max_tokens: question.tokens,
			temperature: 0,
			repetition_penalty: 1,
		},
		(event, data) => {
			if (event === "error") throw new Error(`worker: ${JSON.stringify(data)}`);
			return event === "done" ? data.output_tokens : undefined;
		},
	);
