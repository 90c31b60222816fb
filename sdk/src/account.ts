import { type CallOptions, optionsOf, type Transport } from "./transport.ts";
import type { Account as AccountView, TopUp } from "./types.ts";

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

	/**
	 * Makes a payment page, to top up the balance by card. Nothing is charged until somebody pays
	 * there.
	 *
	 * @param amount micro-USD, whole cents
	 * @throws NotFoundError `payments_off` on a deployment that takes no payments
	 * @example
	 * ```ts
	 * import { NotFoundError } from "minigpt4";
	 *
	 * try {
	 * 	const { url } = await client.account.topUp(10_000_000);
	 * 	console.log("Pay at", url);
	 * } catch (error) {
	 * 	if (!(error instanceof NotFoundError)) throw error;
	 * 	console.log(error.code, error.message);
	 * }
	 * ```
	 */
	topUp(amount: number, options?: CallOptions): Promise<TopUp> {
		return this.#transport.json({
			...optionsOf(options),
			method: "POST",
			path: "/v1/billing/top-ups",
			json: { amount },
		});
	}
}
