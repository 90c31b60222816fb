/**
 * The turns of a job. Most jobs have one, the answer. Where the model first describes the images,
 * the description is a turn of its own: one call of the backend, whose text the answer's call reads
 * as part of the conversation. Both turns count towards `max_tokens` and the price.
 */
import type { JobSpec, Message } from "../contract/job.ts";
import type { Sampling } from "../contract/sampling.ts";
import type { EventLog, Turn } from "./log.ts";

/** The most tokens of a description, and the share of `max_tokens` that it never exceeds. */
const DESCRIPTION = { tokens: 128, share: 1 / 2 };

/** @param isDescribed whether the description is complete */
export const turnOf = ({ followUp }: JobSpec, isDescribed: boolean): Turn =>
	followUp === null || isDescribed ? "answer" : "description";

/** The tokens that the turn may still have. */
export function tokensLeft(
	{ sampling: { max_tokens } }: JobSpec,
	log: EventLog,
	turn: Turn,
): number {
	if (turn === "answer") return max_tokens - log.tokens;
	const { tokens, share } = DESCRIPTION;
	const most = Math.min(tokens, Math.floor(max_tokens * share));
	return most - log.description.tokens;
}

/**
 * How the turn samples. A description is what the model finds likeliest, whatever the temperature
 * of the answer, and no stop string ends it.
 */
export const samplingOf = ({ sampling }: JobSpec, turn: Turn): Sampling =>
	turn === "answer"
		? sampling
		: { ...sampling, temperature: 0, top_p: 1, stop: [] };

/** The conversation that the turn reads. */
export function messagesOf(
	{ messages, followUp }: JobSpec,
	{ description }: EventLog,
	turn: Turn,
): Message[] {
	if (turn === "description" || followUp === null) return messages;
	const question: Message["content"] = [{ type: "text", text: followUp }];
	const text = description.text.trim();
	if (text !== "")
		return [
			...messages,
			{ role: "assistant", content: [{ type: "text", text }] },
			{ role: "user", content: question },
		];
	// The model said nothing, so the question is asked about the images themselves.
	const before = messages.slice(0, -1);
	const images = (messages.at(-1)?.content ?? []).filter(
		({ type }) => type === "image",
	);
	return [...before, { role: "user", content: [...images, ...question] }];
}
