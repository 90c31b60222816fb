/**
 * What a key may spend, as pure decisions. Its open holds and what its jobs have cost count, from
 * when its limits were first set; a price counts in the day and month in which its job settles.
 * An open hold counts in each, for it may settle in any: so what a day's settlements add up to
 * never passes the day's limit. Days and months are UTC's.
 */
import type { SpendLimits } from "../contract/key.ts";
import { failed, type Result } from "../errors.ts";

/** Micro-USD that a key's jobs have cost, in the day and month of `at`, and in all. */
export interface Spent {
	/** Milliseconds since 1970. */
	at: number;
	day: number;
	month: number;
	total: number;
}

/** A key's limits, and what counts against them. */
export interface Spend {
	limits: SpendLimits;
	spent: Spent;
	/** Micro-USD that its jobs hold which have not settled. */
	held: number;
}

/** From the one that resets last: waiting for another would not help. */
const PERIODS = ["total", "month", "day"] as const;
type Period = (typeof PERIODS)[number];

export const nothingSpent = (now: number): Spent => ({
	at: now,
	day: 0,
	month: 0,
	total: 0,
});

/** The same as of now. A clock that was set back changes nothing. */
export function spentAt(spent: Spent, now: number): Spent {
	const at = Math.max(spent.at, now);
	const isSame = (period: "day" | "month") =>
		endOf(period, spent.at) === endOf(period, at);
	return {
		at,
		day: isSame("day") ? spent.day : 0,
		month: isSame("month") ? spent.month : 0,
		total: spent.total,
	};
}

/** With the price of a job that settles now. */
export function addPrice(before: Spent, price: number, now: number): Spent {
	const spent = spentAt(before, now);
	return {
		at: spent.at,
		day: spent.day + price,
		month: spent.month + price,
		total: spent.total + price,
	};
}

/** Whether the key may hold so much more. Null where it has no limits. */
export function checkSpend(
	spend: Spend | null,
	price: number,
	now: number,
): Result<object> {
	if (!spend || price === 0) return { ok: true };
	const { limits, held } = spend;
	const spent = spentAt(spend.spent, now);
	for (const period of PERIODS) {
		const limit = limits[period];
		const counted = spent[period] + held;
		if (limit === null || counted + price <= limit) continue;
		return failed({
			code: "spend_limit_reached",
			period,
			limit,
			spent: spent[period],
			held,
			left: Math.max(0, limit - counted),
			price,
			resets_at: resetOf(period, spent.at),
		});
	}
	return { ok: true };
}

const resetOf = (period: Period, at: number): string | null =>
	period === "total" ? null : new Date(endOf(period, at)).toISOString();

function endOf(period: "day" | "month", at: number): number {
	const date = new Date(at);
	const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
	return period === "month"
		? Date.UTC(year, month + 1)
		: Date.UTC(year, month, date.getUTCDate() + 1);
}
