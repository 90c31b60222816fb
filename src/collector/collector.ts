/**
 * One object per deployment: adds up what the isolates measured, for `GET /metrics`. No call of the
 * API waits for it.
 *
 * Runs in the Collector.
 */
import { DurableObject } from "cloudflare:workers";
import type { Step } from "../durable/migrate.ts";
import { ObjectStorage } from "../durable/storage.ts";
import { merge, type Sums } from "../metrics/catalog.ts";

const STEPS: readonly Step[] = [
	(sql) => {
		// One row: all sums together are a few kilobytes, and each row written is paid.
		sql.exec("CREATE TABLE metrics (sums TEXT NOT NULL)");
		sql.exec("INSERT INTO metrics VALUES ('{}')");
	},
];

export class Collector extends DurableObject<Env> {
	readonly #storage: ObjectStorage;
	readonly #sums: Sums;

	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env);
		this.#storage = new ObjectStorage(ctx, {
			object: "collector",
			steps: STEPS,
			// The sums are in memory and change inside the write.
			resetOnFailure: true,
		});
		if (!this.#storage.exists) this.#storage.create(() => {});
		const { sums } = this.#storage.sql
			.exec<{ sums: string }>("SELECT sums FROM metrics")
			.one();
		this.#sums = JSON.parse(sums);
	}

	async add(sums: Sums): Promise<void> {
		this.#storage.write(() => {
			merge(this.#sums, sums);
			this.#storage.sql.exec(
				"UPDATE metrics SET sums = ?",
				JSON.stringify(this.#sums),
			);
		});
	}

	/** Only durable sums leave the object, so that no counter is ever seen to fall. */
	async read(): Promise<Sums> {
		return this.#sums;
	}
}
