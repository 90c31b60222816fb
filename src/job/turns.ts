/**
 * The turns of a job. Most jobs have one, the answer. Where the model first describes the images,
 * the description is a turn of its own: one call of the backend, whose text the answer's call reads
 * as part of the conversation. Both turns count towards `max_tokens` and the price.
 */
import type { JobSpec, Message } from "../contract/job.ts";
import type { Sampling } from "../contract/sampling.ts";
import { tokensWithin } from "../pricing/budget.ts";
import { mostDescriptionTokens } from "../tasks.ts";
import type { EventLog, Turn } from "./log.ts";

/** @param isDescribed whether the description is complete */
export const turnOf = ({ followUp }: JobSpec, isDescribed: boolean): Turn =>
	followUp === null || isDescribed ? "answer" : "description";

/** What is left for a turn. */
export interface Room {
	/** The tokens that it may still have. */
	tokens: number;
	/** What it means for the job that they are used up. */
	reason: "length" | "budget";
	/** Whether `maxPrice` pays for the turn's prompt and one token after those in the log. */
	isPaid: boolean;
}

/**
 * The room of a turn, by `max_tokens` and by what the job's `maxPrice` still pays.
 * @param promptTokens of the turn's prompt
 */
export function roomOf(
	{ sampling: { max_tokens }, prices, maxPrice, images }: JobSpec,
	log: EventLog,
	turn: Turn,
	promptTokens: number,
): Room {
	const paid = tokensWithin(maxPrice, prices.rates, {
		prompt_tokens: promptTokens,
		images: images.length,
	});
	const most = Math.min(max_tokens, paid);
	return {
		tokens:
			turn === "answer"
				? most - log.tokens
				: mostDescriptionTokens(most) - log.description.tokens,
		reason: paid < max_tokens ? "budget" : "length",
		isPaid: paid > log.tokens,
	};
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
