/**
 * The double-entry ledger, as pure decisions. Amounts are integer micro-USD. Each entry moves an
 * amount from one book to another, and a settlement moves the rest of the hold back as well, so
 * that the books always sum to 0. `funding` is the world outside and becomes negative as credit
 * comes in.
 */

import type { EntryKind } from "../contract/ledger.ts";
import type { Result } from "../errors.ts";

export const BOOKS = ["funding", "available", "held", "revenue"] as const;
export type Book = (typeof BOOKS)[number];
export type Balances = Readonly<Record<Book, number>>;

export interface Entry {
	kind: EntryKind;
	/** The credit's id or the job's; unique within a kind. */
	ref: string;
	source: Book;
	target: Book;
	amount: number;
	/**
	 * What goes from `source` back to `available` beside that. It is no entry of its own, because
	 * each row is billed, and most jobs cost less than they held.
	 */
	released: number;
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
	/** Takes back what is available of a credit. Its id is one of credits'. */
	| { kind: "reversal"; id: string; amount: number }
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
				released: 0,
			};
			return {
				ok: true,
				entries: credited === undefined ? [entry] : [],
				closing: null,
			};
		}
		case "reversal": {
			const { available } = ledger.balances;
			if (money(event.amount) > available)
				throw new RangeError(`${event.amount} is more than is available`);
			const entry: Entry = {
				kind: "reversal",
				ref: event.id,
				source: "available",
				target: "funding",
				amount: event.amount,
				released: 0,
			};
			const isNew = !ledger.credits.has(event.id);
			return { ok: true, entries: isNew ? [entry] : [], closing: null };
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
						missing: event.amount - available,
					},
				};
			const entry: Entry = {
				kind: "hold",
				ref: event.job,
				source: "available",
				target: "held",
				amount: event.amount,
				released: 0,
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
			const entry: Entry = {
				...(price > 0
					? { kind: "settle", target: "revenue", amount: price, released: rest }
					: {
							kind: "release",
							target: "available",
							amount: rest,
							released: 0,
						}),
				ref: event.job,
				source: "held",
			};
			return {
				ok: true,
				entries: hold.amount > 0 ? [entry] : [],
				closing: { price, balance: ledger.balances.available + rest, at: now },
			};
		}
	}
}

/** The balances after these entries. */
export function post(balances: Balances, entries: readonly Entry[]): Balances {
	const after: Record<Book, number> = { ...balances };
	for (const { source, target, amount, released } of entries) {
		after[source] -= amount + released;
		after[target] += amount;
		after.available += released;
	}
	return after;
}

function money(amount: number): number {
	if (!Number.isSafeInteger(amount) || amount < 0)
		throw new RangeError(`${amount} is no whole number of micro-USD`);
	return amount;
}
