/** Quotes: what a job is going to cost. */
import { z } from "@hono/zod-openapi";
import { billOf } from "../pricing/bill.ts";
import { PRICE_TABLE } from "../pricing/prices.ts";
import { COUNTED_BY } from "../pricing/quote.ts";
import { PriceParts } from "./price.ts";

/** The member of a job's request that presents a quote. */
export const QuoteToken = z.string().min(1).max(2048);
export const QUOTE =
	"The `quote` of POST /v1/quotes for this very request: the job has the quote's prices, holds " +
	"at most its `maximum`, and never costs more. A quote is for one job. With `max_price` too, " +
	"the lower one caps.";

/** Text that is empty would be coerced to 0. */
const count = (of: string) =>
	z
		.preprocess(
			(value) => (value === "" ? Number.NaN : value),
			z.coerce.number().int().min(0).max(1_000_000).optional(),
		)
		.openapi({ description: of, type: "integer" });

/** Counts to quote, in place of a request. */
export const QuoteCounts = z
	.strictObject({
		model: z.string().max(64).optional().openapi({
			description:
				"The id of a model in GET /v1/models. When left out: the first of them.",
		}),
		prompt_tokens: count("Prompt tokens, those of the images included"),
		output_tokens: count("Output tokens"),
		images: count("Images; 0 when left out"),
	})
	.superRefine((counts, context) => {
		if (Object.values(counts).every((value) => value === undefined)) return;
		for (const name of ["prompt_tokens", "output_tokens"] as const)
			if (counts[name] === undefined)
				context.addIssue({
					code: "custom",
					path: [name],
					message: "is needed to quote counts",
				});
	});
export type QuoteCounts = z.infer<typeof QuoteCounts>;

const RATES = PRICE_TABLE.rates.nano;
const MOST = billOf(RATES, {
	prompt_tokens: 1_219,
	output_tokens: 60,
	images: 1,
});
const EXPECTED = billOf(RATES, {
	prompt_tokens: 23,
	output_tokens: 8,
	images: 1,
});

export const Quote = z
	.object({
		quote: z.string().openapi({
			description:
				"Send it as `quote` with the request that was quoted. Only keys of this account can.",
		}),
		model: z.string(),
		maximum: z.int().openapi({
			description:
				"Micro-USD: the most that the job costs, and the most that is held for it. `max_price` " +
				"of the request, where that is lower.",
		}),
		maximum_parts: PriceParts.openapi({
			description:
				"The longest prompt that the request can make, by the bytes of its text, and the longest " +
				"answer",
		}),
		expected: z.int().openapi({
			description:
				"Micro-USD: what a job like this usually costs. It depends on how long the answer " +
				"becomes, and promises nothing.",
		}),
		expected_parts: PriceParts.openapi({
			description:
				"The prompt as `counted_by` says, and an answer of the length that answers of this model " +
				"to this task usually have",
		}),
		counted_by: z.enum(COUNTED_BY).openapi({
			description:
				"Who counted the prompt tokens of `expected_parts`: a worker with the model's " +
				"`tokenizer`; none answered, and they are an `estimate` of four bytes a token; or the " +
				"`caller`. Text that a worker reads in a picture is not counted.",
		}),
		price_version: z.string().openapi({
			description: "The `version` of the prices that a job with this quote has",
		}),
		expires_at: z.iso.datetime().openapi({
			description: "From then on no job may present the quote",
		}),
	})
	.openapi("Quote", {
		example: {
			quote:
				"q1.WyJ2bU4ydGRQZ3JjUTBkVWJNIiwibmFubyIsIjIwMjYtMTIiLDUwMDAwLDIwMDAwMCwxMDAwMDAsMTczLG51" +
				"bGwsMTc5NTQyNzEwMDAwMF0.kD3sVx0mYc6aGQ2Jt8uR7w",
			model: "nano",
			maximum: MOST.price,
			maximum_parts: MOST.parts,
			expected: EXPECTED.price,
			expected_parts: EXPECTED.parts,
			counted_by: "tokenizer",
			price_version: PRICE_TABLE.version,
			expires_at: "2026-11-23T09:45:00.000Z",
		},
	});
export type Quote = z.infer<typeof Quote>;
