import { type Page, Paged } from "./paged.ts";
import { type CallOptions, optionsOf, type Transport } from "./transport.ts";
import type { LedgerEntry } from "./types.ts";

export interface LedgerOptions extends CallOptions {
	/** Only entries at this time or later, RFC 3339. */
	after?: string | undefined;
	/** Only entries before this time. */
	before?: string | undefined;
	kind?: LedgerEntry["kind"] | undefined;
	/** Entries per page, 100 by default and up to 1,000. */
	limit?: number | undefined;
	/** Starts where a page's `next_cursor` pointed to. */
	cursor?: string | undefined;
}

/** Every movement of money in the account: `client.ledger`. */
export class Ledger {
	readonly #transport: Transport;

	/** @internal */
	constructor(transport: Transport) {
		this.#transport = transport;
	}

	/**
	 * Lists the ledger's entries, newest first: what each changed, in micro-USD, and the balance
	 * right after it. `settle` and `release` end the hold of a job.
	 *
	 * @throws PermissionError `bound_key` for a key that is bound to web pages
	 * @example
	 * ```ts
	 * for await (const { created_at, kind, amount } of client.ledger.list({
	 * 	after: "2026-01-01T00:00:00Z",
	 * }))
	 * 	console.log(created_at, kind, amount);
	 * ```
	 */
	list({
		after,
		before,
		kind,
		limit,
		cursor,
		...options
	}: LedgerOptions = {}): Paged<LedgerEntry> {
		return new Paged((next = cursor) =>
			this.#transport.json<Page<LedgerEntry>>({
				...optionsOf(options),
				path: "/v1/ledger",
				query: { after, before, kind, limit, cursor: next },
			}),
		);
	}
}
