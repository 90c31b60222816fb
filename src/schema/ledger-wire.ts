/** Converts lines of the statement to their wire forms: JSON and CSV. */
import type { z } from "@hono/zod-openapi";
import type { StatementLine } from "../contract/ledger.ts";
import type { LedgerEntry } from "./ledger.ts";

type Entry = z.infer<typeof LedgerEntry>;

export function entryWire(account: string, line: StatementLine): Entry {
	const { seq, at, kind, ref, amount, released, available, held } = line;
	return {
		id: `led_${account}_${seq}`,
		object: "ledger_entry",
		seq,
		created_at: new Date(at).toISOString(),
		kind,
		job: isCredit(kind) ? null : ref,
		credit: isCredit(kind) ? ref : null,
		amount: CHANGE[kind](amount, released),
		price: kind === "settle" ? amount : kind === "release" ? 0 : null,
		balance: { available, held },
	};
}

/** Whether an entry names a credit, not a job. */
const isCredit = (kind: StatementLine["kind"]): boolean =>
	kind === "credit" || kind === "reversal";

/** How an entry changes what is available. */
const CHANGE: Record<
	StatementLine["kind"],
	(amount: number, released: number) => number
> = {
	credit: (amount) => amount,
	reversal: (amount) => 0 - amount,
	hold: (amount) => 0 - amount,
	settle: (_, released) => released,
	release: (amount) => amount,
};

const COLUMNS: readonly [name: string, (entry: Entry) => string | number][] = [
	["seq", ({ seq }) => seq],
	["created_at", ({ created_at }) => created_at],
	["kind", ({ kind }) => kind],
	["job", ({ job }) => job ?? ""],
	["credit", ({ credit }) => credit ?? ""],
	["amount", ({ amount }) => amount],
	["price", ({ price }) => price ?? ""],
	["available", ({ balance }) => balance.available],
	["held", ({ balance }) => balance.held],
];

/** The lines as CSV after RFC 4180, with a header. Amounts are micro-USD. */
export const entriesCsv = (entries: readonly Entry[]): string =>
	[
		COLUMNS.map(([name]) => name),
		...entries.map((entry) => COLUMNS.map(([, cell]) => field(cell(entry)))),
	]
		.map((fields) => `${fields.join(",")}\r\n`)
		.join("");

/** A number is ours. A text may come from elsewhere, and must be no formula of a spreadsheet. */
function field(value: string | number): string {
	if (typeof value === "number") return String(value);
	const text = /^[=+\-@\t\r\n]/.test(value) ? `'${value}` : value;
	return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
