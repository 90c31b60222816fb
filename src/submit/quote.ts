/** Makes quotes: of a request, or of counts. Nothing is held, and nothing is written. */
import type { Context } from "hono";
import { countPrompt } from "../backends/address.ts";
import type { Message } from "../contract/job.ts";
import { config } from "../env.ts";
import { ApiError } from "../errors.ts";
import { type Caller, unwrapForCaller } from "../http/authenticate.ts";
import { timed } from "../http/request-log.ts";
import type { App } from "../http/router.ts";
import { defaultModel, modelOf, type ServedModel } from "../models.ts";
import { billOf, type Usage } from "../pricing/bill.ts";
import {
	type CountedBy,
	estimatePromptTokens,
	expectedUsage,
	QUOTE_VALID_MS,
} from "../pricing/quote.ts";
import { newQuoteId, signQuote } from "../quote-token.ts";
import type { Quote, QuoteCounts } from "../schema/quote.ts";
import { mostDescriptionTokens } from "../tasks.ts";
import { usualTokens } from "../usual-tokens.ts";
import { imagesIn } from "./conversation.ts";
import { conversation, namedUploads } from "./create-job.ts";
import { jobHash } from "./presented-quote.ts";
import { priceRangeOf, readingsOf, sizeOf } from "./price-range.ts";
import { checkFits, type JobInput, maxTokensOf } from "./request.ts";

/** @throws ApiError as for a job, but for what a job's price or its images' bytes may be refused */
export async function quoteJob(
	c: Context<App>,
	caller: Caller,
	input: JobInput,
): Promise<Quote> {
	const { models } = config(c.env);
	const { turns, fields, previousJob } = input;
	const named =
		input.model === null ? defaultModel(models) : modelOf(models, input.model);
	const takesOverModel = input.model === null && previousJob !== null;
	if (!takesOverModel) checkFits(turns.messages, named, fields);
	const preparation = caller.account.prepare({
		credential: caller.credential,
		jobId: null,
		idempotencyKey: null,
		repeats: null,
		price: null,
		quote: null,
		uploads: namedUploads(input),
		previous: previousJob ? { job: previousJob, prices: null } : null,
		hasWebhook: input.webhook !== undefined,
	});
	const prepared = unwrapForCaller(c, await timed(c, "auth", preparation));
	const model =
		takesOverModel && prepared.previousModel
			? modelOf(models, prepared.previousModel)
			: named;
	const messages = await conversation(c, caller, input);
	if (previousJob) checkFits(messages, model, fields);
	const range = priceRangeOf(input, messages, model);
	if (range.maxPrice < range.leastPrice)
		throw new ApiError({
			code: "max_price_too_low",
			field: "max_price",
			max_price: range.maxPrice,
			least: range.leastPrice,
		});
	const { prompt, outputTokens, images } = sizeOf(input, messages, model);
	const { usage, countedBy } = await expectation(input, messages, model);
	return quoteOf(c, caller, model, {
		most: {
			prompt_tokens: prompt.most,
			output_tokens: outputTokens,
			images,
		},
		maximum: range.maxPrice,
		expected: usage,
		countedBy,
		jobHash: await jobHash(input, model, prepared.images),
	});
}

/** @throws ApiError `model_not_found`; `invalid_request` where the model takes no such job */
export async function quoteCounts(
	c: Context<App>,
	caller: Caller,
	counts: QuoteCounts,
): Promise<Quote> {
	const { models } = config(c.env);
	const model =
		counts.model === undefined
			? defaultModel(models)
			: modelOf(models, counts.model);
	const { prompt_tokens = 0, output_tokens = 0, images = 0 } = counts;
	const usage = { prompt_tokens, output_tokens, images };
	checkCounts(usage, model);
	unwrapForCaller(c, await caller.account.authenticate(caller.credential));
	return quoteOf(c, caller, model, {
		most: usage,
		maximum: billOf(model.prices.rates, usage).price,
		expected: usage,
		countedBy: "caller",
		jobHash: null,
	});
}

function checkCounts(
	usage: Usage,
	{ id, contextLength, maxImages }: ServedModel,
): void {
	const limits: [keyof Usage, number][] = [
		["prompt_tokens", contextLength],
		["output_tokens", contextLength],
		["images", maxImages],
	];
	for (const [field, most] of limits)
		if (usage[field] > most)
			throw new ApiError({
				code: "invalid_request",
				field,
				detail: `\`${field}\`: ${id} takes at most ${most} in a job. Send fewer.`,
			});
}

/**
 * What the job is expected to use. A worker counts the prompt where one answers; the length of the
 * answer is what it usually is (usual-tokens.ts).
 */
export async function expectation(
	input: JobInput,
	messages: Message[],
	model: ServedModel,
): Promise<{ usage: Usage; countedBy: CountedBy }> {
	const maxTokens = maxTokensOf(input, model);
	const { messages: read, describes } = readingsOf(input, messages, model);
	const counted = await countPrompt(model.workers, model.id, read);
	const described = describes
		? Math.min(
				usualTokens(model.id, "describe"),
				mostDescriptionTokens(maxTokens),
			)
		: 0;
	const usage = expectedUsage(model, {
		// The last prompt has the description in it, as a message of the model's own.
		promptTokens:
			(counted ?? estimatePromptTokens(model, read)) +
			(describes ? model.template.message.assistant + described : 0),
		usualTokens: described + usualTokens(model.id, input.task),
		maxTokens,
		images: imagesIn(messages),
	});
	return { usage, countedBy: counted === null ? "estimate" : "tokenizer" };
}

/** Signs what was computed, and writes it out. */
async function quoteOf(
	c: Context<App>,
	caller: Caller,
	{ id, prices }: ServedModel,
	priced: {
		most: Usage;
		/** Micro-USD. */
		maximum: number;
		expected: Usage;
		countedBy: CountedBy;
		jobHash: string | null;
	},
): Promise<Quote> {
	const { maximum, jobHash, countedBy } = priced;
	const expected = billOf(prices.rates, priced.expected);
	const expiresAt = Date.now() + QUOTE_VALID_MS;
	const [signer] = config(c.env).KEY_SECRETS as [string];
	const quote = await signQuote(signer, caller.id, {
		id: newQuoteId(),
		model: id,
		prices,
		maximum,
		jobHash,
		expiresAt,
	});
	return {
		quote,
		model: id,
		maximum,
		maximum_parts: billOf(prices.rates, priced.most).parts,
		expected: Math.min(expected.price, maximum),
		expected_parts: expected.parts,
		counted_by: countedBy,
		price_version: prices.version,
		expires_at: new Date(expiresAt).toISOString(),
	};
}
