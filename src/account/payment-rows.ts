/** The account's card payments, as events have told of them, and what of them is in the ledger. */
import type { PaymentEvent } from "../contract/payment.ts";
import { addCredit, balances, reverseCredit } from "./ledger-rows.ts";
import { learned, type Payment, step, UNPAID } from "./payments.ts";

interface PaymentRow extends Record<string, SqlStorageValue> {
	id: string;
	/** JSON. */
	state: string;
	/** Entries of the ledger that the payment has. */
	entries: number;
	/** Micro-USD that could not be taken back. */
	owed: number;
}

/** The eighth version. */
export function createPaymentTable(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE payment (
		id TEXT PRIMARY KEY,
		state TEXT NOT NULL,
		entries INTEGER NOT NULL,
		owed INTEGER NOT NULL CHECK (owed >= 0)
	) WITHOUT ROWID`);
	sql.exec("ALTER TABLE account ADD COLUMN owed INTEGER NOT NULL DEFAULT 0");
}

/** Notes what an event tells of a payment, and moves the money. A repeat moves none. */
export function notePayment(
	sql: SqlStorage,
	id: string,
	event: PaymentEvent,
	now: number,
): void {
	const row = rowOf(sql, id);
	const before: Payment = row ? JSON.parse(row.state) : UNPAID;
	const payment = learned(before, event);
	moveMoney(sql, { id, entries: row?.entries ?? 0 }, payment, now);
	collectOwed(sql, now);
}

/** Takes what is owed of what is available. */
export function collectOwed(sql: SqlStorage, now: number): void {
	const owing = sql
		.exec<PaymentRow>("SELECT * FROM payment WHERE owed > 0 ORDER BY id")
		.toArray();
	for (const row of owing) moveMoney(sql, row, JSON.parse(row.state), now);
	sql.exec(
		"UPDATE account SET owed = (SELECT coalesce(sum(owed), 0) FROM payment)",
	);
}

function moveMoney(
	sql: SqlStorage,
	{ id, entries }: Pick<PaymentRow, "id" | "entries">,
	payment: Payment,
	now: number,
): void {
	const { amount, owed } = step(payment, balances(sql).available);
	const entry = { id: `${id}:${entries + 1}`, amount: Math.abs(amount) };
	if (amount > 0) addCredit(sql, entry, now);
	else if (amount < 0) reverseCredit(sql, entry, now);
	const state = { ...payment, credited: payment.credited + amount };
	sql.exec(
		`INSERT INTO payment (id, state, entries, owed) VALUES (?1, ?2, ?3, ?4)
			ON CONFLICT (id) DO UPDATE SET state = ?2, entries = ?3, owed = ?4`,
		id,
		JSON.stringify(state),
		entries + (amount === 0 ? 0 : 1),
		owed,
	);
}

const rowOf = (sql: SqlStorage, id: string): PaymentRow | null =>
	sql.exec<PaymentRow>("SELECT * FROM payment WHERE id = ?", id).toArray()[0] ??
	null;
