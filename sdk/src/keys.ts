import { type Page, Paged } from "./paged.ts";
import { type CallOptions, optionsOf, type Transport } from "./transport.ts";
import type { CreatedKey, Key, KeyRequest } from "./types.ts";

/** The account's API keys: `client.keys`. */
export class Keys {
	readonly #transport: Transport;

	/** @internal */
	constructor(transport: Transport) {
		this.#transport = transport;
	}

	/**
	 * Lists the keys without their secrets, oldest first. Revoked keys are included.
	 *
	 * @example
	 * ```ts
	 * for await (const key of client.keys.list())
	 * 	console.log(key.id, key.name, key.revoked_at ?? "in use");
	 * ```
	 */
	list(options?: CallOptions): Paged<Key> {
		return new Paged(() =>
			this.#transport.json<Page<Key>>({
				...optionsOf(options),
				path: "/v1/keys",
			}),
		);
	}

	/**
	 * Creates a key. The API shows the key itself in this answer only. A key with `origins` works on
	 * pages of those origins, and sees only the jobs and uploads that it created.
	 *
	 * @throws RequestError `invalid_request`; `field` names what is wrong
	 * @example
	 * ```ts
	 * const { id, key } = await client.keys.create({
	 * 	name: "website",
	 * 	origins: ["https://app.example.com"],
	 * });
	 * console.log(`${id} starts with ${key.slice(0, 8)}`);
	 * ```
	 */
	create(request: KeyRequest, options?: CallOptions): Promise<CreatedKey> {
		return this.#transport.json({
			...optionsOf(options),
			method: "POST",
			path: "/v1/keys",
			json: request,
			idempotent: false,
		});
	}

	/**
	 * Revokes a key, by its id (`key_…`). The API refuses it from the next call on.
	 *
	 * @throws ConflictError `last_key` when it is the account's last key without `origins`
	 * @example
	 * ```ts
	 * const { id } = await client.keys.create({ name: "for a test" });
	 * const { revoked_at } = await client.keys.revoke(id);
	 * console.log(id, "was revoked at", revoked_at);
	 * ```
	 */
	revoke(id: string, options?: CallOptions): Promise<Key> {
		return this.#transport.json({
			...optionsOf(options),
			method: "DELETE",
			path: `/v1/keys/${encodeURIComponent(id)}`,
		});
	}
}
