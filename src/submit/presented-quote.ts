/** The quote that a request presents, and whether it is for this request. */
import type { Context } from "hono";
import type { SentImage } from "../contract/account.ts";
import { sha256 } from "../crypto.ts";
import { config } from "../env.ts";
import { ApiError } from "../errors.ts";
import type { Caller } from "../http/authenticate.ts";
import type { App } from "../http/router.ts";
import { isDataUrl, readDataUrl } from "../images/data-url.ts";
import type { Model } from "../models.ts";
import type { Quote } from "../pricing/quote.ts";
import { readQuote } from "../quote-token.ts";
import type { ImageInput } from "./conversation.ts";
import { type JobInput, requestHash, samplingFor } from "./request.ts";

/**
 * Reads the quote of a request; null without one. Whether it has expired or is used, only the
 * Account can say: a repeat of the call that presented it is neither.
 * @throws ApiError `quote_invalid`, `quote_mismatch` where it is for another model
 */
export async function presentedQuote(
	c: Context<App>,
	caller: Caller,
	{ quote: token, model }: JobInput,
): Promise<Quote | null> {
	if (token === null) return null;
	const quote = await readQuote(config(c.env).KEY_SECRETS, caller.id, token);
	if (!quote) throw new ApiError({ code: "quote_invalid", field: "quote" });
	if (model !== null && model !== quote.model) throw mismatch();
	return quote;
}

/** The request with what its quote promises: the model, and the most that the job costs. */
export const underQuote = (input: JobInput, quote: Quote): JobInput => ({
	...input,
	model: quote.model,
	maxPrice: Math.min(quote.maximum, input.maxPrice ?? quote.maximum),
});

/**
 * @param uploads those that the request names, as the Account has them
 * @throws ApiError `quote_mismatch`
 */
export async function checkQuoted(
	quote: Quote,
	input: JobInput,
	model: Model,
	uploads: readonly SentImage[],
): Promise<void> {
	if (quote.jobHash === null) return;
	if ((await jobHash(input, model, uploads)) !== quote.jobHash)
		throw mismatch();
}

/**
 * SHA-256 of the job that a request makes, after defaults, so that it does not matter how the
 * request was written, or on which route it came. It covers all that the request says but who pays
 * how much (`quote`, `max_price`) and whether the answer has readers (`on_disconnect`).
 * @param uploads those that the request names
 * @throws ApiError `url_refused`, `image_too_large`, `invalid_request`
 */
export async function jobHash(
	input: JobInput,
	model: Model,
	uploads: readonly SentImage[],
): Promise<string> {
	const { turns, task, previousJob, metadata, expiresIn, webhook } = input;
	const images = turns.images.map((image) => imageHash(image, uploads));
	const seed = input.sampling.seed ?? null;
	return requestHash({
		model: model.id,
		messages: turns.messages,
		image_hashes: await Promise.all(images),
		task,
		previous_job: previousJob,
		sampling: { ...samplingFor(input, model), seed },
		metadata,
		expires_in: expiresIn,
		webhook: webhook ?? null,
	});
}

/**
 * A photo by its bytes, whether it is an upload or comes along, so that it may be uploaded again;
 * an address by its text, since nothing is fetched for a quote.
 */
async function imageHash(
	{ source, field }: ImageInput,
	uploads: readonly SentImage[],
): Promise<string> {
	if ("upload" in source) {
		const sent = uploads.find(({ upload }) => upload === source.upload);
		return sent?.sha256 ?? source.upload;
	}
	return isDataUrl(source.url)
		? sha256(readDataUrl(source.url, field))
		: source.url;
}

const mismatch = (): ApiError =>
	new ApiError({ code: "quote_mismatch", field: "quote" });
