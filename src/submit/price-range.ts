/** What a request's job may cost, from its size and the model's prices. */
import type { PriceRange } from "../contract/account.ts";
import type { Message } from "../contract/job.ts";
import type { ServedModel, ServedModels } from "../models.ts";
import {
	type JobSize,
	leastPrice,
	leastPromptTokens,
	mostPrice,
	mostPromptTokens,
} from "../pricing/bound.ts";
import { mostDescriptionTokens } from "../tasks.ts";
import { imagesIn, questionsOf } from "./conversation.ts";
import { type JobInput, maxTokensOf } from "./request.ts";

/** What the job's model reads before it answers, but for a description that it writes itself. */
export interface Readings {
	messages: Message[];
	/** Whether the model reads its own description of the images too. */
	describes: boolean;
}

export function readingsOf(
	{ task }: JobInput,
	messages: Message[],
	model: ServedModel,
): Readings {
	const questions = questionsOf(messages, task, model);
	const { followUp } = questions;
	if (followUp === null)
		return { messages: questions.messages, describes: false };
	const second: Message = {
		role: "user",
		content: [{ type: "text", text: followUp }],
	};
	return { messages: [...questions.messages, second], describes: true };
}

/**
 * The bounds of a job's size, before any model has seen it.
 * @param messages the conversation; where it is not known yet, what is known of it
 */
export function sizeOf(
	input: JobInput,
	messages: Message[],
	model: ServedModel,
): JobSize {
	const outputTokens = maxTokensOf(input, model);
	const first = questionsOf(messages, input.task, model).messages;
	const readings = readingsOf(input, messages, model);
	return {
		images: imagesIn(messages),
		prompt: {
			least: leastPromptTokens(model, first),
			most: mostPromptTokens(
				model,
				readings.messages,
				readings.describes ? mostDescriptionTokens(outputTokens) : 0,
			),
		},
		outputTokens,
	};
}

/** What the job costs at most, by its size or by the request's `max_price`, and at least. */
export function priceRangeOf(
	input: JobInput,
	messages: Message[],
	model: ServedModel,
): PriceRange {
	const { rates } = model.prices;
	const size = sizeOf(input, messages, model);
	const most = mostPrice(rates, size);
	return {
		maxPrice: Math.min(most, input.maxPrice ?? most),
		// A conversation that no model's context holds is refused for its length, not for its price.
		leastPrice: Math.min(most, leastPrice(rates, size)),
		mostTokens: size.prompt.most + size.outputTokens,
	};
}

/** The same for each model. */
export const priceRangesOf = (
	input: JobInput,
	messages: Message[],
	models: ServedModels,
): Record<string, PriceRange> =>
	Object.fromEntries(
		Array.from(models, ([id, model]) => [
			id,
			priceRangeOf(input, messages, model),
		]),
	);
