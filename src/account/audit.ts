/**
 * The audit of the ledger, as a pure decision. It walks the entries in their order, a slice at a
 * time, from a checkpoint to the next, and holds each against what follows from the one before and
 * against the other record of the same fact: the job's row or the credit's.
 */
import type { EntryKind } from "../contract/ledger.ts";
import { type Balances, BOOKS, type Book, type Entry, post } from "./ledger.ts";

/** An entry as it was written, with what the account knows of it otherwise. */
export interface PostedEntry extends Entry {
	seq: number;
	/** Milliseconds since 1970. */
	at: number;
	/** The balances after it. */
	balances: Balances;
	/** Null where the account has no such job or credit. */
	record: JobRecord | CreditRecord | null;
}

export interface JobRecord {
	hold: number;
	createdAt: number;
	closed: { price: number; balance: number; at: number } | null;
}

export interface CreditRecord {
	amount: number;
	at: number;
}

/** Where an audit stopped: all up to `seq` is right. */
export interface Checkpoint {
	seq: number;
	balances: Balances;
	/** What the jobs hold that have not closed, by their ids. */
	open: ReadonlyMap<string, number>;
}

/** What is wrong, in words for operators: numbers and ids of jobs, nothing that callers wrote. */
export type Audit =
	| { ok: true; checkpoint: Checkpoint }
	| { ok: false; mismatch: string };

const wrong = (mismatch: string): Audit => ({ ok: false, mismatch });

/** Between which books each kind of entry moves money. */
const BOOKS_OF: Record<EntryKind, readonly [source: Book, target: Book]> = {
	credit: ["funding", "available"],
	reversal: ["available", "funding"],
	hold: ["available", "held"],
	settle: ["held", "revenue"],
	release: ["held", "available"],
};

/** Audits the entries that follow a checkpoint. */
export function audit(
	from: Checkpoint,
	entries: readonly PostedEntry[],
): Audit {
	const open = new Map(from.open);
	let { seq, balances } = from;
	for (const entry of entries) {
		const fault = faultIn(entry, seq, balances) ?? faultOf(entry, open);
		if (fault) return wrong(`entry ${entry.seq}: ${fault}`);
		({ seq, balances } = entry);
	}
	const sum = [...open.values()].reduce((total, hold) => total + hold, 0);
	return sum === balances.held
		? { ok: true, checkpoint: { seq, balances, open } }
		: wrong(
				`after entry ${seq}: held is ${balances.held}, and the open holds are ${sum}`,
			);
}

/** Holds the end of the ledger against the jobs that have not closed, and what each holds. */
export function auditEnd(
	{ seq, open }: Checkpoint,
	jobs: ReadonlyMap<string, number>,
): string | null {
	for (const [job, hold] of jobs)
		if (hold > 0 && open.get(job) !== hold)
			return `after entry ${seq}: job ${job} is open with ${hold}, and holds ${open.get(job) ?? 0}`;
	for (const [job, hold] of open)
		if (!jobs.has(job))
			return `after entry ${seq}: job ${job} has closed, and holds ${hold}`;
	return null;
}

/** Whether entries follow each other, by what is in them alone. @returns what is wrong, or null */
export function checkChain(
	from: Pick<Checkpoint, "seq" | "balances">,
	entries: readonly Omit<PostedEntry, "record">[],
): string | null {
	let { seq, balances } = from;
	for (const entry of entries) {
		const fault = faultIn(entry, seq, balances);
		if (fault) return `entry ${entry.seq}: ${fault}`;
		({ seq, balances } = entry);
	}
	return null;
}

/** What is wrong with an entry by itself, and as the one after `seq` with these balances. */
function faultIn(
	entry: Omit<PostedEntry, "record">,
	seq: number,
	before: Balances,
): string | null {
	if (entry.seq !== seq + 1) return `it follows entry ${seq}`;
	const books = BOOKS_OF[entry.kind];
	if (!books || entry.source !== books[0] || entry.target !== books[1])
		return `a ${entry.kind} from ${entry.source} to ${entry.target}`;
	const { amount, released, kind } = entry;
	if (!isMoney(amount) || !isMoney(released))
		return `it moves ${amount} and ${released}`;
	if (released > 0 && kind !== "settle") return `a ${kind} with a rest`;
	const after = post(before, [entry]);
	for (const book of BOOKS)
		if (after[book] !== entry.balances[book])
			return `${book} is ${entry.balances[book]}, and ${after[book]} follows`;
	const sum = BOOKS.reduce((total, book) => total + after[book], 0);
	return sum === 0 ? null : `the books add up to ${sum}`;
}

/**
 * What is wrong with an entry as part of the job's or credit's history.
 * @param open is brought up to date
 */
function faultOf(entry: PostedEntry, open: Map<string, number>): string | null {
	const { kind, ref, amount, released, at, record } = entry;
	const isCredit = kind === "credit" || kind === "reversal";
	if (!record) return `there is no such ${isCredit ? kind : "job"}`;
	if (!("hold" in record))
		return isCredit && record.amount === amount && record.at === at
			? null
			: `the ${kind} was ${record.amount} at ${record.at}`;
	if (isCredit) return "it names a job";
	if (kind === "hold") {
		if (open.has(ref)) return "a second hold of its job";
		if (record.hold !== amount || record.createdAt !== at)
			return `the job was admitted with ${record.hold} at ${record.createdAt}`;
		if (amount > 0) open.set(ref, amount);
		return null;
	}
	const hold = open.get(ref);
	if (hold === undefined) return "its job holds nothing";
	if (amount + released !== hold) return `it closes a hold of ${hold}`;
	const { closed } = record;
	if (!closed) return "its job is open";
	const price = kind === "settle" ? amount : 0;
	if (
		closed.price !== price ||
		closed.at !== at ||
		closed.balance !== entry.balances.available
	)
		return `the job closed with ${closed.price} at ${closed.at}, and ${closed.balance} left`;
	open.delete(ref);
	return null;
}

const isMoney = (amount: number): boolean =>
	Number.isSafeInteger(amount) && amount >= 0;
