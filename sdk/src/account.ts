import { type CallOptions, optionsOf, type Transport } from "./transport.ts";
import type { Account as AccountView } from "./types.ts";

/** The account that the API key belongs to: `client.account`. */
export class Account {
	readonly #transport: Transport;

	/** @internal */
	constructor(transport: Transport) {
		this.#transport = transport;
	}

	/**
	 * Gets the account and its balance, in micro-USD (1,000,000 are one dollar). `available` can be
	 * spent; `held` is set aside for jobs that have not ended.
	 *
	 * @throws PermissionError `bound_key` for a key that is bound to web pages
	 * @example
	 * ```ts
	 * const { balance } = await client.account.get();
	 * console.log(balance.available / 1_000_000, "USD");
	 * ```
	 */
	get(options?: CallOptions): Promise<AccountView> {
		return this.#transport.json({ ...optionsOf(options), path: "/v1/account" });
	}
}
