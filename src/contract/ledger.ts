/** What the Account and the Worker tell each other about the ledger. */

export const ENTRY_KINDS = [
	"credit",
	"reversal",
	"hold",
	"settle",
	"release",
] as const;
export type EntryKind = (typeof ENTRY_KINDS)[number];

/** An entry of the ledger as a statement shows it. Amounts are micro-USD. */
export interface StatementLine {
	seq: number;
	/** Milliseconds since 1970. */
	at: number;
	kind: EntryKind;
	/** The credit's id or the job's. */
	ref: string;
	/** What the entry moved, never negative: with `settle` the price. */
	amount: number;
	/** With `settle`: what of the hold became available again. */
	released: number;
	/** Of the account, right after. */
	available: number;
	held: number;
}

/** A page of the statement, newest first. Times are milliseconds since 1970; null is no bound. */
export interface StatementPage {
	/** As the page before returned it. */
	cursor: string | null;
	limit: number;
	/** Only entries at this time or later. */
	after: number | null;
	/** Only entries before this time. */
	before: number | null;
	kind: EntryKind | null;
}

export interface Statement {
	lines: StatementLine[];
	/**
	 * Parts of the ledger in the bucket that the page goes on with, newest first, and the number that
	 * its lines there are below. The Worker reads them.
	 */
	parts: PartRef[];
	below: number;
	/** After the last of these parts. A short page may have it too: where few lines match. */
	nextCursor: string | null;
}

export interface PartRef {
	/** In the bucket. */
	key: string;
	bytes: number;
	/** Hex. */
	sha256: string;
	firstSeq: number;
}

export const cursorOf = (seq: number): string => `l${seq.toString(36)}`;

/** The next page has the entries below this number; null for a cursor of another list. */
export function seqOf(cursor: string): number | null {
	const digits = /^l([0-9a-z]{1,10})$/.exec(cursor)?.[1];
	return digits ? Number.parseInt(digits, 36) : null;
}
