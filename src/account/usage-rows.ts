/**
 * What the account used, by day, key, model and task.
 *
 * A job that is kept has its usage in its own row, so that it costs no row more. Each audit of the
 * ledger, at least one a day where there is something new, sums the jobs that settled on the days
 * before into `usage`; a job that is erased sooner is added there as it goes. So each job counts
 * once, whatever becomes of it.
 */
import type { Outcome } from "../contract/account.ts";
import {
	DAY_MS,
	USAGE_GROUPS,
	type UsageQuery,
	type UsageRow,
} from "../contract/usage.ts";
import { failed, type Result } from "../errors.ts";
import type { Item } from "../pricing/prices.ts";

/** More rows of an answer than this are too many for one page of a report. */
const MAX_ROWS = 5_000;
/** How long after a day's end it is summed, so that no clock that jumps back settles into it. */
const MARGIN_MS = 60 * 60_000;

const GROUPS = USAGE_GROUPS.join(", ");
const SUMS = ["jobs", "prompt_tokens", "output_tokens", "images", "price"];
const SUMMED = SUMS.map((name) => `sum(${name}) AS ${name}`).join(", ");
/** Settled jobs that are not summed yet, in the columns of `usage`. Reads every job row. */
const NOT_SUMMED = `SELECT settled_at / ${DAY_MS} AS day, ifnull(key, '') AS key, model,
	ifnull(task, '') AS task, 1 AS jobs, prompt_tokens, output_tokens, image_count AS images, price
	FROM job WHERE settled_at >= (SELECT usage_summed_to FROM account)`;
const ADDED = SUMS.map((name) => `${name} = ${name} + excluded.${name}`);
/** Adds those of them that meet a condition on their rows. */
const add = (
	condition: string,
) => `INSERT INTO usage (${GROUPS}, ${SUMS.join(", ")})
	SELECT ${GROUPS}, ${SUMMED} FROM (${NOT_SUMMED} AND ${condition}) WHERE true GROUP BY ${GROUPS}
	ON CONFLICT DO UPDATE SET ${ADDED.join(", ")}`;

/** The ninth version. */
export function createUsageTable(sql: SqlStorage): void {
	sql.exec("ALTER TABLE job ADD COLUMN task TEXT");
	for (const column of ["prompt_tokens", "output_tokens", "image_count"])
		sql.exec(`ALTER TABLE job ADD COLUMN ${column} INTEGER NOT NULL DEFAULT 0`);
	// Milliseconds since 1970: `usage` has all jobs that settled before.
	sql.exec(
		"ALTER TABLE account ADD COLUMN usage_summed_to INTEGER NOT NULL DEFAULT 0",
	);
	sql.exec(`CREATE TABLE usage (
		day INTEGER NOT NULL,
		key TEXT NOT NULL,
		model TEXT NOT NULL,
		task TEXT NOT NULL,
		jobs INTEGER NOT NULL,
		prompt_tokens INTEGER NOT NULL,
		output_tokens INTEGER NOT NULL,
		images INTEGER NOT NULL,
		price INTEGER NOT NULL,
		PRIMARY KEY (${GROUPS})
	) WITHOUT ROWID`);
}

/** What a job used, as its row has it. */
export function usedOf({
	parts,
}: Pick<Outcome, "parts">): Record<Item, number> {
	const used = { prompt_tokens: 0, output_tokens: 0, images: 0 };
	for (const { item, quantity } of parts) used[item] += quantity;
	return used;
}

/** Counts a job that is erased, unless its day is summed or it did not settle. */
export function keepUsage(sql: SqlStorage, jobId: string): void {
	sql.exec(add("id = ?"), jobId);
}

/** Sums the days that ended. */
export function sumUsage(sql: SqlStorage, now: number): void {
	const end = startOfDay(now - MARGIN_MS);
	sql.exec(add("settled_at < ?"), end);
	sql.exec("UPDATE account SET usage_summed_to = max(usage_summed_to, ?)", end);
}

const startOfDay = (at: number): number => at - (at % DAY_MS);

/** The sums of each group, the oldest day first. */
export function usageOf(
	sql: SqlStorage,
	{ from, to, by }: UsageQuery,
): Result<{ rows: UsageRow[] }> {
	const groups = USAGE_GROUPS.filter((group) => by.includes(group));
	const columns = USAGE_GROUPS.map((group) =>
		groups.includes(group) ? group : `NULL AS ${group}`,
	);
	const rows = sql
		.exec<UsageRow & Record<string, SqlStorageValue>>(
			`SELECT ${columns.join(", ")}, ${SUMMED}
				FROM (SELECT * FROM usage UNION ALL ${NOT_SUMMED}) WHERE day BETWEEN ? AND ?
				${groups.length > 0 ? `GROUP BY ${groups.join(", ")} ORDER BY ${groups.join(", ")}` : ""}
				LIMIT ${MAX_ROWS + 1}`,
			from,
			to,
		)
		.toArray()
		// Without a group there is a row of sums over nothing.
		.filter(({ jobs }) => jobs > 0);
	return rows.length <= MAX_ROWS
		? { ok: true, rows }
		: failed({
				code: "invalid_request",
				field: "by",
				detail: `\`by\` makes more than ${MAX_ROWS} rows. Ask for fewer groups, or for fewer days.`,
			});
}
