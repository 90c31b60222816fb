/** One object per deployment: the sums that `GET /metrics` shows. No call waits for it. */
import { DurableObject } from "cloudflare:workers";
import { migrate } from "../durable/migrate.ts";
import { merge, type Sums } from "../metrics/catalog.ts";

const STEPS: readonly ((sql: SqlStorage) => void)[] = [
	(sql) => {
		// One row: all sums together are a few kilobytes, and a row written is a row paid.
		sql.exec("CREATE TABLE metrics (sums TEXT NOT NULL)");
		sql.exec("INSERT INTO metrics VALUES ('{}')");
	},
];

export class Metrics extends DurableObject<Env> {
	readonly #sums: Sums;

	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env);
		const { sql } = ctx.storage;
		ctx.storage.transactionSync(() => migrate(sql, STEPS));
		const { sums } = sql
			.exec<{ sums: string }>("SELECT sums FROM metrics")
			.one();
		this.#sums = JSON.parse(sums);
	}

	async add(sums: Sums): Promise<void> {
		merge(this.#sums, sums);
		this.ctx.storage.sql.exec(
			"UPDATE metrics SET sums = ?",
			JSON.stringify(this.#sums),
		);
	}

	/** Durable, so that no counter is ever seen to fall. */
	async read(): Promise<Sums> {
		return this.#sums;
	}
}
