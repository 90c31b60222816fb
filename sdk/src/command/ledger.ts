/** `ledger`: where the account's money went. */
import type { LedgerEntry } from "../index.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./exit.ts";
import { money } from "./format.ts";
import { parseLimit, parsePast } from "./options.ts";
import { sanitize, table, widthOf } from "./terminal.ts";

/** The entries of one page; the CSV of a whole ledger takes as few calls as possible. */
const PAGE = 1_000;

export const ledger: Command = {
	name: "ledger",
	usage: [
		"[--limit N] [--kind settle] [--since 30d]",
		"--csv [--since 2026-11-01] [--until 2026-12-01]",
	],
	summary: "Lists every movement of the account's money, newest first.",
	about: [
		"The kinds are credit, reversal, hold, settle and release: a job holds the most that it can",
		"cost, then costs its price (settle) or nothing (release), and the rest is available again.",
		"With --csv all entries are printed, as many as --limit says, in micro-USD.",
	].join(" "),
	options: ["limit", "kind", "since", "until", "csv"],
	async run(context, args) {
		const { client, json, values, out, style, now, note, print, printJSON } =
			context;
		if (args.length > 0)
			throw new UsageError(
				`This command takes no argument such as "${args[0]}".`,
			);
		const { since, until, kind, csv } = values;
		const limit =
			csv && values.limit === undefined
				? Number.POSITIVE_INFINITY
				: parseLimit(values.limit);
		const time = (name: "since" | "until", given: string | undefined) =>
			given === undefined
				? undefined
				: parsePast(name, given, now()).toISOString();
		const pages = client.ledger.list({
			after: time("since", since),
			before: time("until", until),
			kind: kind as LedgerEntry["kind"] | undefined,
			limit: Math.min(PAGE, limit),
			signal: context.interrupt,
		});
		if (csv) print(CSV_HEADER);
		const listed: LedgerEntry[] = [];
		let count = 0;
		for await (const entry of pages) {
			if (csv) print(csvLine(entry));
			else listed.push(entry);
			if (++count === limit) break;
		}
		if (csv) return;
		if (json) return printJSON(listed);
		if (listed.length === 0) return note("No entries yet.");
		const rows = listed.map((entry) => [
			entry.created_at,
			entry.kind,
			money(entry.amount),
			entry.price === null ? "" : money(entry.price),
			money(entry.balance.available),
			money(entry.balance.held),
			sanitize(entry.job ?? entry.credit ?? ""),
		]);
		print(
			table(
				["TIME", "KIND", "CHANGE", "PRICE", "AVAILABLE", "HELD", "OF"],
				rows,
				widthOf(out),
				style,
			).trimEnd(),
		);
	},
};

/** As the API's own CSV. */
const CSV_HEADER = "seq,created_at,kind,job,credit,amount,price,available,held";

const csvLine = (entry: LedgerEntry): string =>
	[
		entry.seq,
		entry.created_at,
		entry.kind,
		entry.job,
		entry.credit,
		entry.amount,
		entry.price,
		entry.balance.available,
		entry.balance.held,
	]
		.map(field)
		.join(",");

/** A text must be no formula of a spreadsheet. */
function field(value: string | number | null): string {
	if (typeof value !== "string") return String(value ?? "");
	const text = /^[=+\-@\t\r\n]/.test(value) ? `'${value}` : value;
	return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
