import { type CallOptions, optionsOf, type Transport } from "./transport.ts";
import type { Quote } from "./types.ts";
import type { Uploads } from "./uploads.ts";
import { type NewJob, wireJob } from "./wire-job.ts";

/** What jobs are going to cost: `client.quotes`. A quote is free. */
export class Quotes {
	readonly #transport: Transport;
	readonly #uploads: Uploads;

	/** @internal */
	constructor(transport: Transport, uploads: Uploads) {
		this.#transport = transport;
		this.#uploads = uploads;
	}

	/**
	 * Says what a job would cost in micro-USD: `expected`, as jobs like it usually do, and
	 * `maximum`, which it never exceeds if it is sent with the `quote` within 15 minutes. A quote is
	 * for one job, and for this one: change nothing but `quote` and `max_price`. Images that this
	 * program has are uploaded for it, and may be again for the job.
	 *
	 * @throws APIError; MiniGPT4Error for an image that cannot be read
	 * @example
	 * ```ts
	 * const question = { images: ["samples/coffee.jpg"], prompt: "What is in this picture?" };
	 * const { quote, expected, maximum } = await client.quotes.create(question);
	 * console.log(`about ${expected}, at most ${maximum} micro-USD`);
	 * const job = await client.jobs.run({ ...question, quote });
	 * console.log(job.price);
	 * ```
	 */
	async create(job: NewJob, options: CallOptions = {}): Promise<Quote> {
		const callOptions = optionsOf(options);
		return this.#transport.json({
			...callOptions,
			method: "POST",
			path: "/v1/quotes",
			json: await wireJob(this.#uploads, job, callOptions),
		});
	}
}
