import { type Page, Paged } from "./paged.ts";
import { type CallOptions, optionsOf, type Transport } from "./transport.ts";
import type { Model } from "./types.ts";

/** What there is to ask. Needs no key. */
export class Models {
	readonly #transport: Transport;

	/** @internal */
	constructor(transport: Transport) {
		this.#transport = transport;
	}

	/** The default first. */
	list(options?: CallOptions): Paged<Model> {
		return new Paged(() =>
			this.#transport.json<Page<Model>>({
				...optionsOf(options),
				...{ path: "/v1/models", open: true },
			}),
		);
	}

	get(id: string, options?: CallOptions): Promise<Model> {
		const path = `/v1/models/${encodeURIComponent(id)}`;
		return this.#transport.json({ ...optionsOf(options), path, open: true });
	}
}
