import { type Page, Paged } from "./paged.ts";
import { type CallOptions, optionsOf, type Transport } from "./transport.ts";
import type { CreatedKey, Key, KeyRequest } from "./types.ts";

/** The account's API keys. */
export class Keys {
	readonly #transport: Transport;

	/** @internal */
	constructor(transport: Transport) {
		this.#transport = transport;
	}

	/** Without their secrets, oldest first. */
	list(options?: CallOptions): Paged<Key> {
		return new Paged(() =>
			this.#transport.json<Page<Key>>({
				...optionsOf(options),
				path: "/v1/keys",
			}),
		);
	}

	/** The only time that the key itself is shown. */
	create(request: KeyRequest, options?: CallOptions): Promise<CreatedKey> {
		return this.#transport.json({
			...optionsOf(options),
			...{ method: "POST", path: "/v1/keys", json: request, once: true },
		});
	}

	/** From now on it is refused. @throws ConflictError `last_key` */
	revoke(id: string, options?: CallOptions): Promise<Key> {
		const path = `/v1/keys/${encodeURIComponent(id)}`;
		return this.#transport.json({
			...optionsOf(options),
			...{ method: "DELETE", path },
		});
	}
}
