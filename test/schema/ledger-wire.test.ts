import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ENTRY_KINDS, type StatementLine } from "../../src/contract/ledger.ts";
import { entriesCsv, entryWire } from "../../src/schema/ledger-wire.ts";

const line = (part: Partial<StatementLine>): StatementLine => ({
	seq: 1,
	at: 0,
	kind: "credit",
	ref: "c",
	amount: 5,
	released: 0,
	available: 5,
	held: 0,
	...part,
});

/** Reads CSV as RFC 4180 has it. */
function parse(text: string): string[][] {
	const rows: string[][] = [[]];
	const cells = /("(?:[^"]|"")*"|[^,\r\n]*)(,|\r\n)/gy;
	for (const [, cell = "", end] of text.matchAll(cells)) {
		const raw = cell.startsWith('"')
			? cell.slice(1, -1).replaceAll('""', '"')
			: cell;
		rows.at(-1)?.push(raw);
		if (end === "\r\n") rows.push([]);
	}
	return rows.slice(0, -1);
}

describe("the statement as CSV", () => {
	it("is read back as it is, whatever a credit is called, and no text is a formula", () => {
		fc.assert(
			fc.property(
				fc.string({ unit: fc.constantFrom(..."=+-@\t\r\n\",;'aé ") }),
				fc.constantFrom(...ENTRY_KINDS),
				(ref, kind) => {
					const entry = entryWire("a", line({ ref, kind, amount: 7 }));
					const rows = parse(entriesCsv([entry, entry]));
					expect(rows).toHaveLength(3);
					expect(rows[1]).toEqual(rows[2]);
					const [, , , job, credit, amount] = rows[1] as string[];
					const isCredit = kind === "credit" || kind === "reversal";
					const name = isCredit ? credit : job;
					expect(name).toMatch(/^(?![=+\-@\t\r\n])/);
					expect(name).toBe(/^[=+\-@\t\r\n]/.test(ref) ? `'${ref}` : ref);
					expect(Number(amount)).toBe(entry.amount);
				},
			),
		);
	});
});
