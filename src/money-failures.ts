/** What cannot be paid, or is too much at once: the part of failures.ts that is about it. */
import { failures } from "./about-failure.ts";

export const MONEY_FAILURES = failures({
	insufficient_credit: {
		status: 402,
		/** `available` and `missing`: not told to keys that see only their own jobs. */
		example: { available: 400, price: 1_000, missing: 600 } as {
			available?: number;
			price: number;
			missing?: number;
		},
		detail: ({ available = "fewer", price, missing = "the rest" }) =>
			`This job may cost ${price} micro-USD, ${available} are available, ${missing} is missing. ` +
			"Add credit, send a lower `max_price` or `max_tokens`, or wait for running jobs to settle.",
	},
	spend_limit_reached: {
		status: 402,
		/** `limit`, `spent`, `held`, `left`: not told to keys that see only their own jobs. */
		example: {
			period: "day",
			limit: 1_000_000,
			spent: 812_000,
			held: 187_500,
			left: 500,
			price: 1_000,
			resets_at: "2026-11-24T00:00:00.000Z",
		} as {
			period: "day" | "month" | "total";
			limit?: number;
			spent?: number;
			held?: number;
			left?: number;
			price: number;
			resets_at: string | null;
		},
		detail: ({ period, limit, spent, held, left, price, resets_at }) =>
			`This job may cost ${price} micro-USD, more than is left of what this key may spend ${
				period === "total" ? "in all" : `in a ${period}`
			}${
				limit === undefined
					? ""
					: `: ${left}. Of ${limit}, ${spent} are spent and ${held} held for jobs that run`
			}.${
				resets_at === null ? "" : ` The limit resets at ${resets_at}.`
			} Raise it (PATCH /v1/keys/{id}), or send a lower \`max_price\` or \`max_tokens\`.`,
	},
	max_price_too_low: {
		status: 400,
		example: { field: "max_price", max_price: 50, least: 106 },
		detail: ({ max_price, least }) =>
			`\`max_price\`, or the quote's maximum, is ${max_price} micro-USD, and the prompt with one ` +
			`token of the answer needs at least ${least}. Raise it, shorten the prompt, or send fewer ` +
			"images.",
	},
	quote_invalid: {
		status: 400,
		example: { field: "quote" },
		detail:
			"`quote` is not a quote of this account. Send the `quote` of POST /v1/quotes as it is, " +
			"with a key of the account that got it, or leave it out.",
	},
	quote_mismatch: {
		status: 409,
		example: { field: "quote" },
		detail:
			"The quote is for another request. Send the request that was quoted, with no member " +
			"changed, or get a quote for this one: POST /v1/quotes.",
	},
	quote_expired: {
		status: 410,
		example: { field: "quote", expired_at: "2026-11-23T09:45:00.000Z" },
		detail: ({ expired_at }) =>
			`The quote expired at ${expired_at}. Get a new one: POST /v1/quotes.`,
	},
	quote_used: {
		status: 409,
		/** `job`: not told to keys that do not see it. */
		example: { field: "quote", job: "01JD8Z6Q3V9Y4K2M7N5P8R1S3T" } as {
			field: string;
			job?: string;
		},
		detail: ({ job }) =>
			`The quote was for one job, and ${job ? `job ${job}` : "another job"} has it. Read that ` +
			"job, or get a new quote: POST /v1/quotes.",
	},
	payment_owed: {
		status: 402,
		/** `owed`: not told to keys that see only their own jobs. */
		example: { owed: 2_500_000 } as { owed?: number },
		detail: ({ owed = "some" }) =>
			`A payment was taken back, and ${owed} micro-USD of it are spent. Top up by as much.`,
	},
	payments_off: {
		status: 404,
		detail:
			"This deployment takes no payments. Its operator grants credit: ask there.",
	},
	payments_unavailable: {
		status: 503,
		detail:
			"The payment provider does not answer. Nothing was charged; try again in a minute.",
	},
	no_saved_card: {
		status: 409,
		detail:
			"No card is saved. Top up once with `save_card`, then set the rule when the payment has " +
			"arrived.",
	},
	payment_not_found: {
		status: 404,
		detail: "No account has this payment, so far. Tell of it again later.",
	},
	invalid_signature: {
		status: 400,
		detail:
			"The signature does not fit the body. Check the secret of the webhook.",
	},
	credit_conflict: {
		status: 409,
		detail: "This credit id was used with another amount. Choose a new id.",
	},
	rate_limited: {
		status: 429,
		/** `retry_after`: seconds. */
		example: { limit: 600, retry_after: 2 },
		detail: ({ limit, retry_after }) =>
			`There may be ${limit} requests a minute. Try again in ${retry_after} s.`,
	},
	too_many_tokens: {
		status: 429,
		example: { limit: 500_000, retry_after: 12 },
		detail: ({ limit, retry_after }) =>
			`Your account's jobs may read and write ${limit} tokens a minute. Try again in ` +
			`${retry_after} s, or set a lower \`max_tokens\`: a job counts with the most that it can ` +
			"use until it ends.",
	},
	too_many_jobs: {
		status: 429,
		example: { limit: 200, retry_after: 2 },
		detail: ({ limit }) =>
			`Your account has ${limit} jobs that have not ended, and may have no more. Try again ` +
			"when one of them ends.",
	},
});
