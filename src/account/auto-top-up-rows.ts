/** The account's automatic top-up, in the account's row, and the task that charges the card. */
import { chargeSavedCard } from "../billing/stripe.ts";
import { config } from "../env.ts";
import { logLine } from "../log.ts";
import {
	type AutoTopUp,
	type AutoTopUpEvent,
	advance,
	NO_AUTO_TOP_UP,
} from "./auto-top-up.ts";
import { setDue } from "./due.ts";
import type { TaskContext } from "./due-tasks.ts";
import { type Identity, identityOf } from "./identity.ts";
import { balances } from "./ledger-rows.ts";
import { notePayment } from "./payment-rows.ts";

export const CHARGE = "charge:card";
/** When to ask again how a charge ended. */
const ASK_AGAIN_MS = 60_000;

/** The tenth version. */
export function addAutoTopUp(sql: SqlStorage): void {
	sql.exec("ALTER TABLE account ADD COLUMN auto_top_up TEXT");
}

export const autoTopUpOf = ({ auto_top_up }: Identity): AutoTopUp =>
	auto_top_up === null ? NO_AUTO_TOP_UP : JSON.parse(auto_top_up);

/** Moves it on by an event, and lets the alarm charge the card where a charge begins. */
export function moveAutoTopUp(
	sql: SqlStorage,
	event: AutoTopUpEvent,
	now: number,
): AutoTopUp {
	const before = autoTopUpOf(identityOf(sql));
	const state = advance(before, event, now);
	sql.exec("UPDATE account SET auto_top_up = ?", JSON.stringify(state));
	if (state.pending && !before.pending) setDue(sql, CHARGE, now);
	return state;
}

/**
 * Charges the card, as often as it takes to learn how that ended: under its name it is one charge.
 * @returns when to ask again; null once it has ended
 */
export async function chargeCard({
	env,
	store,
	account,
	clock,
	onIdentityChanged,
}: TaskContext): Promise<number | null> {
	const { sql } = store;
	const { pending, count } = autoTopUpOf(identityOf(sql));
	if (!pending) return null;
	const { customer, amount } = pending;
	const { STRIPE } = config(env);
	const outcome = STRIPE
		? await chargeSavedCard(STRIPE, {
				account,
				customer,
				amount,
				name: `${account} auto ${count}`,
			})
		: ({ status: "no_answer" } as const);
	logLine("card_charged", { account, charge: count, status: outcome.status });
	const now = clock();
	const state = store.write(() => {
		if (outcome.status === "paid")
			notePayment(
				sql,
				`stripe:${outcome.payment}`,
				{ type: "paid", amount },
				now,
			);
		moveAutoTopUp(sql, { type: outcome.status }, now);
		const { available } = balances(sql);
		return moveAutoTopUp(sql, { type: "balance", available }, now);
	});
	onIdentityChanged();
	if (!state.pending) return null;
	return state.count === count ? now + ASK_AGAIN_MS : now;
}
