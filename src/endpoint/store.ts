/** An endpoint's state and deliveries, in memory and in its rows. */
import type { WebhookRef } from "../contract/endpoint.ts";
import { ObjectStorage } from "../durable/storage.ts";
import { newWebhookSecret } from "../webhook-secret.ts";
import { Deliveries } from "./deliveries.ts";
import { STEPS } from "./schema.ts";
import { type EndpointState, initialState } from "./state.ts";

export class EndpointStore {
	readonly deliveries: Deliveries;
	readonly #storage: ObjectStorage;
	#state: EndpointState | null = null;

	constructor(ctx: DurableObjectState, afterWrite: () => void) {
		this.#storage = new ObjectStorage(ctx, {
			object: "endpoint",
			steps: STEPS,
			// The state changes in memory inside the write.
			resetOnFailure: true,
			afterWrite,
		});
		const { sql, exists } = this.#storage;
		this.deliveries = new Deliveries(sql);
		if (!exists) return;
		const { state } = sql
			.exec<{ state: string }>("SELECT state FROM endpoint")
			.one();
		this.#state = JSON.parse(state);
	}

	/** Null before the first call, and once the webhook is deleted. */
	get state(): EndpointState | null {
		return this.#state;
	}

	/** @throws Error where there is no webhook */
	require(): EndpointState {
		if (!this.#state) throw new Error("there is no webhook here");
		return this.#state;
	}

	/** The state, which the first call makes with a first secret. */
	open(ref: WebhookRef): EndpointState {
		if (this.#state) return this.#state;
		const state = initialState(ref, newWebhookSecret());
		this.#storage.create(() =>
			this.#storage.sql.exec(
				"INSERT INTO endpoint VALUES (?)",
				JSON.stringify(state),
			),
		);
		this.#state = state;
		return state;
	}

	/** The webhook was deleted. */
	clear(): void {
		this.#state = null;
		this.#storage.clear();
	}

	/** How many deliveries are open. */
	openCount(): number {
		return this.#state ? this.deliveries.open().length : 0;
	}

	write(change: () => void): void {
		this.#storage.write(change);
	}

	save(state: EndpointState): void {
		this.write(() => this.put(state));
	}

	/** As `save`, inside a `write`. */
	put(state: EndpointState): void {
		this.#state = state;
		this.#storage.sql.exec(
			"UPDATE endpoint SET state = ?",
			JSON.stringify(state),
		);
	}
}
