/**
 * The account's statement: its ledger, newest first, page by page. Where a page reaches what was
 * rolled over, it names the parts in the bucket.
 */
import {
	cursorOf,
	type Statement,
	type StatementLine,
	type StatementPage,
	seqOf,
} from "../contract/ledger.ts";
import { failed, type Result } from "../errors.ts";
import { partsBelow, rolledUpTo } from "./rollover-rows.ts";

/**
 * How many entries a page looks at. A filter that few entries pass thus ends a page early, and no
 * call reads more rows the longer the ledger is.
 */
const LOOKED_AT = 5_000;
/** Times in the ledger rise, but for a clock that was set back: by less than this. */
const CLOCK_SKEW_MS = 60 * 60_000;

export function pageStatement(
	sql: SqlStorage,
	{ cursor, limit, after, before, kind }: StatementPage,
): Result<Statement> {
	const below = cursor === null ? Number.MAX_SAFE_INTEGER : seqOf(cursor);
	if (below === null)
		return failed({
			code: "invalid_request",
			field: "cursor",
			detail:
				"`cursor` is not one of ours. Send the last page's `next_cursor`, or leave it out.",
		});
	const { first, end } = extent(sql);
	const floor =
		after === null ? first : seqAt(sql, after - CLOCK_SKEW_MS, first, end);
	const ceiling = Math.min(
		below,
		before === null ? end : seqAt(sql, before + CLOCK_SKEW_MS, first, end),
	);
	const lowest = Math.max(floor, ceiling - LOOKED_AT);
	const lines = sql
		.exec<StatementLine & Record<string, SqlStorageValue>>(
			`SELECT seq, at, kind, ref, amount, released, available, held FROM entry
				WHERE seq >= ? AND seq < ? AND at >= ? AND at < ? ${kind === null ? "" : "AND kind = ?"}
				ORDER BY seq DESC LIMIT ?`,
			lowest,
			ceiling,
			after ?? 0,
			before ?? Number.MAX_SAFE_INTEGER,
			...(kind === null ? [] : [kind]),
			limit + 1,
		)
		.toArray();
	const page = lines.slice(0, limit);
	const last = page.at(-1);
	const statement = { lines: page, parts: [], below: ceiling };
	if (lines.length > limit && last)
		return { ok: true, ...statement, nextCursor: cursorOf(last.seq) };
	if (lowest > floor)
		return { ok: true, ...statement, nextCursor: cursorOf(lowest) };
	// All that is older is of another time, or in the bucket.
	if (floor > first) return { ok: true, ...statement, nextCursor: null };
	const { parts, more } = partsBelow(sql, ceiling, { after, before });
	const oldest = parts.at(-1);
	return {
		ok: true,
		...statement,
		parts,
		nextCursor: more && oldest ? cursorOf(oldest.firstSeq) : null,
	};
}

/**
 * The numbers of the entries that are in the table alone: from `first` to below `end`, without a
 * gap. Those that were rolled over stay in it for a moment.
 */
function extent(sql: SqlStorage): { first: number; end: number } {
	const first = rolledUpTo(sql) + 1;
	const newest = sql
		.exec<{ seq: number }>("SELECT seq FROM entry ORDER BY seq DESC LIMIT 1")
		.toArray()[0];
	return { first, end: Math.max(first, (newest?.seq ?? 0) + 1) };
}

/** The first entry at this time or later, by halving; `end` where there is none. */
function seqAt(
	sql: SqlStorage,
	time: number,
	first: number,
	end: number,
): number {
	let [low, high] = [first, end];
	while (low < high) {
		const middle = Math.floor((low + high) / 2);
		const { at } = sql
			.exec<{ at: number }>(
				"SELECT at FROM entry WHERE seq >= ? ORDER BY seq LIMIT 1",
				middle,
			)
			.one();
		if (at < time) low = middle + 1;
		else high = middle;
	}
	return low;
}
