import { Paged } from "./paged.ts";
import { type CallOptions, optionsOf, type Transport } from "./transport.ts";
import type { Usage as Row } from "./types.ts";

export interface UsageOptions extends CallOptions {
	/** The first day, `YYYY-MM-DD` in UTC; 29 days before `to` by default. */
	from?: string | undefined;
	/** The last day; today by default. */
	to?: string | undefined;
	/** What to sum by; the day and the model by default, and all of it if empty. */
	by?: readonly ("day" | "key" | "model" | "task")[] | undefined;
}

/** What the account used: `client.usage`. */
export class Usage {
	readonly #transport: Transport;

	/** @internal */
	constructor(transport: Transport) {
		this.#transport = transport;
	}

	/**
	 * Lists the sums of jobs, tokens, images and prices, the oldest day first.
	 *
	 * @throws PermissionError `bound_key` for a key that is bound to web pages
	 * @example
	 * ```ts
	 * for await (const { model, jobs, price } of client.usage.list({ by: ["model"] }))
	 * 	console.log(model, jobs, "jobs,", price, "micro-USD");
	 * ```
	 */
	list({ from, to, by, ...options }: UsageOptions = {}): Paged<Row> {
		return new Paged(() =>
			this.#transport.json({
				...optionsOf(options),
				path: "/v1/usage",
				query: { from, to, by: by?.join() },
			}),
		);
	}
}
