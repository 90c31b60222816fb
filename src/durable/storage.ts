/** The durable writes of one object, counted. */
import { log } from "../log.ts";

export class ObjectStorage {
	/** Made by this instance. */
	writes = 0;
	readonly #ctx: DurableObjectState;

	constructor(ctx: DurableObjectState) {
		this.#ctx = ctx;
	}

	get sql(): SqlStorage {
		return this.#ctx.storage.sql;
	}

	/** In one transaction. A write that fails leaves memory ahead of storage: only a fresh instance is right again. */
	write<T>(change: () => T): T {
		this.writes++;
		try {
			return this.#ctx.storage.transactionSync(change);
		} catch (error) {
			log("write_failed", { object: "job", cause: String(error) });
			this.#ctx.abort("write failed");
			throw error;
		}
	}
}
