// @ts-check
/**
 * The call of a turn as code that runs as pasted. The key is never in it: each reads
 * `MINIGPT4_API_KEY`, as the docs' samples do.
 */

/**
 * @typedef {object} Call
 * @property {string} origin of the deployment
 * @property {object} job body for `POST /v1/jobs`
 * @property {object} chat body for `POST /v1/chat/completions`
 */

/** @param {Call} call @returns {{ name: string, language: string, code: string }[]} */
export const samplesOf = (call) => [
	{ name: "curl", language: "sh", code: curl(call) },
	{ name: "SDK", language: "js", code: sdk(call) },
	{ name: "OpenAI", language: "js", code: openai(call) },
];

/** Quotes a word for a POSIX shell. @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** @param {Call} call */
const curl = ({ origin, job }) =>
	[
		`curl -N ${origin}/v1/jobs`,
		'-H "Authorization: Bearer $MINIGPT4_API_KEY"',
		'-H "Content-Type: application/json"',
		'-H "Accept: text/event-stream"',
		`-d ${quoted(JSON.stringify(job))}`,
	].join(" \\\n  ");

/** @param {Call} call */
const sdk = ({ origin, job }) => `\
import { MiniGPT4 } from "minigpt4";

const client = new MiniGPT4({ baseURL: "${origin}" });
const stream = client.jobs.stream(${literal(job)});
for await (const piece of stream.text()) process.stdout.write(piece);
`;

/** @param {Call} call */
const openai = ({ origin, chat }) => `\
import OpenAI from "openai";

const client = new OpenAI({
	baseURL: "${origin}/v1",
	apiKey: process.env.MINIGPT4_API_KEY,
});
const stream = await client.chat.completions.create(${literal({ ...chat, stream: true })});
for await (const { choices } of stream)
	process.stdout.write(choices[0]?.delta.content ?? "");
`;

const COLUMNS = 76;

/**
 * JSON as people write it in JavaScript: bare names, and on one line what is short.
 * @param {unknown} value @param {string} indent @returns {string}
 */
function literal(value, indent = "") {
	if (typeof value !== "object" || value === null) return JSON.stringify(value);
	const deeper = `${indent}\t`;
	const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
	/** @param {string} inside */
	const members = (inside) =>
		Object.entries(value).map(([name, member]) =>
			Array.isArray(value)
				? literal(member, inside)
				: `${name}: ${literal(member, inside)}`,
		);
	const gap = open === "{" ? " " : "";
	const short = `${open}${gap}${members(deeper).join(", ")}${gap}${close}`;
	if (short.length <= COLUMNS && !short.includes("\n")) return short;
	const lines = members(deeper).map((member) => `${deeper}${member},\n`);
	return `${open}\n${lines.join("")}${indent}${close}`;
}
