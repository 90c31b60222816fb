/**
 * The double-entry ledger, as pure decisions. Amounts are integer micro-USD. Each entry moves one
 * amount from one book to another, so that the books always sum to 0. `funding` is the world
 * outside and becomes negative as credit comes in.
 */

import type { Outcome } from "../contract/account.ts";
import type { Result } from "../errors.ts";

export const BOOKS = ["funding", "available", "held", "revenue"] as const;
export type Book = (typeof BOOKS)[number];
export type Balances = Readonly<Record<Book, number>>;

export interface Entry {
	kind: "credit" | "hold" | "settle" | "release";
	/** The credit's id or the job's; unique within a kind. */
	ref: string;
	source: Book;
	target: Book;
	amount: number;
}

/** A job's money: held at admission, closed once. */
export interface Hold {
	amount: number;
	closed: Closing | null;
}

export interface Closing {
	/** Debited of what was held. */
	price: number;
	/** Available right after. */
	balance: number;
	/** Milliseconds since the epoch. */
	at: number;
}

/** What a decision depends on: of credits and holds, only the one that the event names. */
export interface Ledger {
	balances: Balances;
	credits: ReadonlyMap<string, number>;
	holds: ReadonlyMap<string, Hold>;
}

export type LedgerEvent =
	| { kind: "credit"; id: string; amount: number }
	| { kind: "hold"; job: string; amount: number }
	/** Price 0 releases the whole hold. */
	| { kind: "close"; job: string; price: number };

export type Decision = Result<{
	/** None if the event was recorded before. */
	entries: Entry[];
	/** The job's one closing, the same on every repeat; null for other events. */
	closing: Closing | null;
}>;

/** @throws RangeError on an amount that is no whole micro-USD, or a price above the hold */
export function decide(
	ledger: Ledger,
	event: LedgerEvent,
	now: number,
): Decision {
	switch (event.kind) {
		case "credit": {
			const credited = ledger.credits.get(event.id);
			if (credited !== undefined && credited !== event.amount)
				return { ok: false, failure: { code: "credit_conflict" } };
			const entry: Entry = {
				kind: "credit",
				ref: event.id,
				source: "funding",
				target: "available",
				amount: money(event.amount),
			};
			return {
				ok: true,
				entries: credited === undefined ? [entry] : [],
				closing: null,
			};
		}
		case "hold": {
			if (ledger.holds.has(event.job))
				return { ok: true, entries: [], closing: null };
			const { available } = ledger.balances;
			if (money(event.amount) > available)
				return {
					ok: false,
					failure: {
						code: "insufficient_credit",
						available,
						price: event.amount,
					},
				};
			const entry: Entry = {
				kind: "hold",
				ref: event.job,
				source: "available",
				target: "held",
				amount: event.amount,
			};
			return { ok: true, entries: [entry], closing: null };
		}
		case "close": {
			const hold = ledger.holds.get(event.job);
			if (!hold) return { ok: false, failure: { code: "job_not_found" } };
			if (hold.closed) return { ok: true, entries: [], closing: hold.closed };
			const price = money(event.price);
			const rest = hold.amount - price;
			if (rest < 0)
				throw new RangeError(`price ${price} is above the hold ${hold.amount}`);
			const entries: Entry[] = [];
			if (price > 0)
				entries.push({
					kind: "settle",
					ref: event.job,
					source: "held",
					target: "revenue",
					amount: price,
				});
			if (rest > 0)
				entries.push({
					kind: "release",
					ref: event.job,
					source: "held",
					target: "available",
					amount: rest,
				});
			return {
				ok: true,
				entries,
				closing: { price, balance: ledger.balances.available + rest, at: now },
			};
		}
	}
}

/** The balances after these entries. */
export function post(balances: Balances, entries: readonly Entry[]): Balances {
	const after: Record<Book, number> = { ...balances };
	for (const { source, target, amount } of entries) {
		after[source] -= amount;
		after[target] += amount;
	}
	return after;
}

/**
 * What a job costs of its held price: nothing where it failed or expired; where it was canceled,
 * the share of its tokens in those that the price would have bought, rounded up.
 */
export function priceOf(outcome: Outcome, held: number): number {
	switch (outcome.status) {
		case "succeeded":
			return held;
		case "canceled":
			return share(held, outcome.outputTokens, outcome.maxTokens);
		case "failed":
		case "expired":
			return 0;
	}
}

/** ceil(held x part / whole), at most `held`. */
function share(held: number, part: number, whole: number): number {
	if (part >= whole) return part > 0 ? held : 0;
	// By remainder: a quotient of large numbers may be rounded down to a whole one.
	const product = money(held * part);
	const rest = product % whole;
	return (product - rest) / whole + (rest > 0 ? 1 : 0);
}

function money(amount: number): number {
	if (!Number.isSafeInteger(amount) || amount < 0)
		throw new RangeError(`${amount} is no whole number of micro-USD`);
	return amount;
}
