import { type CallOptions, optionsOf, type Transport } from "./transport.ts";
import type { Account as AccountView } from "./types.ts";

export class Account {
	readonly #transport: Transport;

	/** @internal */
	constructor(transport: Transport) {
		this.#transport = transport;
	}

	/** The account of this key, with its balance in micro-USD. */
	get(options?: CallOptions): Promise<AccountView> {
		return this.#transport.json({ ...optionsOf(options), path: "/v1/account" });
	}
}
