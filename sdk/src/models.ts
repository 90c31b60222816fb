import { type Page, Paged } from "./paged.ts";
import { type CallOptions, optionsOf, type Transport } from "./transport.ts";
import type { Model } from "./types.ts";

/** The models that the deployment serves: `client.models`. These calls need no API key. */
export class Models {
	readonly #transport: Transport;

	/** @internal */
	constructor(transport: Transport) {
		this.#transport = transport;
	}

	/**
	 * Lists the models. The first one is the default of a job that names none.
	 *
	 * @example
	 * ```ts
	 * for await (const model of client.models.list())
	 * 	console.log(model.id, model.context_length, model.prices.output_tokens.rate);
	 * ```
	 */
	list(options?: CallOptions): Paged<Model> {
		return new Paged(() =>
			this.#transport.json<Page<Model>>({
				...optionsOf(options),
				path: "/v1/models",
				anonymous: true,
			}),
		);
	}

	/**
	 * Gets one model: its prices in micro-USD, its context length in tokens, its limits, and what its
	 * licences allow.
	 *
	 * @throws NotFoundError `model_not_found`
	 * @example
	 * ```ts
	 * const { prices } = await client.models.get("nano");
	 * console.log(`nano: ${prices.output_tokens.rate} micro-USD for a million output tokens`);
	 * ```
	 */
	get(id: string, options?: CallOptions): Promise<Model> {
		const path = `/v1/models/${encodeURIComponent(id)}`;
		return this.#transport.json({
			...optionsOf(options),
			path,
			anonymous: true,
		});
	}
}
