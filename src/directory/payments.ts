/** Whose each card payment is. */

export function createPaymentTable(sql: SqlStorage): void {
	sql.exec(`CREATE TABLE payment (
		id TEXT PRIMARY KEY,
		account TEXT NOT NULL
	) WITHOUT ROWID`);
}

/** The first account that is named stays. */
export function insertPayment(
	sql: SqlStorage,
	id: string,
	account: string,
): void {
	sql.exec(
		"INSERT INTO payment (id, account) VALUES (?, ?) ON CONFLICT (id) DO NOTHING",
		id,
		account,
	);
}

export const payerOf = (sql: SqlStorage, id: string): string | null =>
	sql
		.exec<{ account: string }>("SELECT account FROM payment WHERE id = ?", id)
		.toArray()[0]?.account ?? null;
