/** Which entries of the ledger go to the bucket, and when: pure decisions. Months are UTC's. */

/** Entries of one part: a megabyte or so, which a page of the statement reads whole. */
export const PART = 5_000;
/** How long after its end a month goes: no job runs that long. */
const MARGIN_MS = 35 * 24 * 60 * 60_000;

export const monthOf = (at: number): string =>
	new Date(at).toISOString().slice(0, 7);

export function endOfMonth(at: number): number {
	const date = new Date(at);
	return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1);
}

/**
 * When the oldest entry may go; null where the newest is of the same month. The newest one stays:
 * it has the account's balances.
 */
export const rollsAt = (
	oldest: { at: number },
	newest: { at: number },
): number | null => {
	const end = endOfMonth(oldest.at);
	return newest.at < end ? null : end + MARGIN_MS;
};

/**
 * The entries that go together, all of one month.
 * @param rows the oldest, one more than a part where there are as many
 */
export function cutPart<Row extends { at: number }>(
	rows: readonly Row[],
): Row[] {
	const [first] = rows;
	if (!first) return [];
	const end = endOfMonth(first.at);
	const length = rows.findIndex(({ at }) => at >= end);
	return rows.slice(0, length < 0 ? PART : Math.min(length, PART));
}
