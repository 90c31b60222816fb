// @ts-check
/** What a conversation is, whatever shows it: its turns, and what is sent for one more. */
import { TASKS } from "./tasks.js";
import { ulid } from "./ulid.js";

/** @import { Received } from "./follow.js" */

/** @typedef {{ prompt: string } | { task: import("./tasks.js").Task }} Question */

/**
 * The sampling members of a request, and `model` where there is a choice.
 * @typedef {{ model?: string, max_tokens?: number, temperature?: number, seed?: number }} Settings
 */

/**
 * @typedef {object} Asking
 * @property {Question} question
 * @property {string | null} upload the photo's, once it is sent
 * @property {Record<string, any> | null} request the job as sent, once the photo is
 * @property {"succeeded" | "canceled" | "failed" | null} end null until the job has ended
 * @property {Refusal | null} refusal why the API did not take the job
 * @property {boolean} gone whether the API said that no job can continue this one
 */

/**
 * @typedef {object} Refusal
 * @property {string} words
 * @property {number} status
 * @property {string} code
 * @property {string | undefined} field
 * @property {string | undefined} requestId
 */

/** A question and its answer, which is one job. @typedef {Received & Asking} Turn */

/** @param {Question} question @returns {Turn} */
export const newTurn = (question) => ({
	id: ulid(),
	question,
	upload: null,
	request: null,
	accepted: false,
	requestId: null,
	seq: 0,
	description: "",
	text: "",
	end: null,
	refusal: null,
	gone: false,
});

/** @param {Question} question */
export const wordsOf = (question) =>
	"task" in question ? TASKS[question.task].prompt : question.prompt;

/** Whether the model said something that a follow-up can refer to. @param {Turn} turn */
export const isAnswered = ({ end, text }) =>
	(end === "succeeded" || end === "canceled") && text !== "";

/**
 * The job that asks a question after some turns. It continues the last answered one, so that a turn
 * that failed loses nothing; where that job is gone, the whole conversation is sent.
 * @param {readonly Turn[]} turns
 * @param {Question} question
 * @param {string} upload
 * @param {Settings} settings
 * @returns {Record<string, any>}
 */
export function jobRequest(turns, question, upload, { model, ...sampling }) {
	const named = model === undefined ? {} : { model };
	const images = [{ upload }];
	const answered = turns.filter(isAnswered);
	const last = answered.at(-1);
	if (!last) return { ...named, images, ...question, ...sampling };
	const prompt = wordsOf(question);
	const members = { max_tokens: tokensOf(question), ...sampling };
	if (!last.gone)
		return { ...named, previous_job: last.id, prompt, ...members };
	const messages = [
		...answered.flatMap(messagesOf),
		{ role: "user", content: prompt },
	];
	return { ...named, images, messages, ...members };
}

/**
 * The API's `max_tokens` for a question that begins a conversation. Where a task goes on with one,
 * or a chat completion asks it, the API does not know of the task.
 * @param {Question} question
 */
const tokensOf = (question) =>
	"task" in question ? TASKS[question.task].maxTokens : 300;

/**
 * The same call as OpenAI's clients make it, which send a whole conversation each time.
 * @param {readonly Turn[]} turns before this one
 * @param {Turn} turn whose job was sent
 * @param {string} model the deployment's default
 */
export function chatRequest(turns, turn, model) {
	const { request, upload, question } = turn;
	const { max_tokens = tokensOf(question), temperature, seed } = request ?? {};
	const [first, ...rest] = [
		...turns.filter(isAnswered).flatMap(messagesOf),
		...questionsOf(turn),
	];
	const content = [
		{ type: "image_url", image_url: { url: upload } },
		{ type: "text", text: first?.content },
	];
	return {
		model: request?.model ?? model,
		messages: [{ role: "user", content }, ...rest],
		max_tokens,
		...(temperature !== undefined && { temperature }),
		...(seed !== undefined && { seed }),
	};
}

/** @param {Turn} turn */
const messagesOf = (turn) => [
	...questionsOf(turn),
	{ role: "assistant", content: turn.text },
];

/**
 * The question, after the description where the model described the photo first.
 * @param {Turn} turn
 */
const questionsOf = ({ question, description }) => [
	...(description === ""
		? []
		: [
				{ role: "user", content: TASKS.describe.prompt },
				{ role: "assistant", content: description },
			]),
	{ role: "user", content: wordsOf(question) },
];
