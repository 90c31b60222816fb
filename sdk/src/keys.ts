import { type Page, Paged } from "./paged.ts";
import { type CallOptions, optionsOf, type Transport } from "./transport.ts";
import type {
	CreatedKey,
	Key,
	KeyChange,
	KeyRequest,
	RotatedKey,
} from "./types.ts";

export interface RotateOptions extends CallOptions {
	/** Seconds for which the earlier secrets go on to work: up to 7 days. Defaults to one day. */
	grace?: number | undefined;
	/**
	 * Names this rotation. Under one name it happens once, however often the call is repeated; a
	 * repeat does not show the secret again.
	 */
	idempotencyKey?: string | undefined;
}

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
	 * Gets a key, by its id (`key_…`): what it may do, when it was last used, and which of its
	 * secrets work.
	 *
	 * @throws NotFoundError `key_not_found`
	 * @example
	 * ```ts
	 * const { id } = await client.keys.create({ name: "reports", scopes: ["jobs:read"] });
	 * const { scopes, last_used_at } = await client.keys.get(id);
	 * console.log(scopes, last_used_at ?? "not used yet");
	 * ```
	 */
	get(id: string, options?: CallOptions): Promise<Key> {
		return this.#transport.json({
			...optionsOf(options),
			path: `/v1/keys/${encodeURIComponent(id)}`,
		});
	}

	/**
	 * Creates a key. The API shows the key itself in this answer only. Without `scopes` it may do all
	 * that the client's own key may, but not administer keys. A key with `origins` works on pages of
	 * those origins, and sees only the jobs and uploads that it created.
	 *
	 * @throws RequestError `invalid_request`; `field` names what is wrong
	 * @throws PermissionError `scope_missing` for scopes that the client's own key does not have
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
	 * Changes what a key may do, by its id (`key_…`). What the change leaves out stays.
	 *
	 * @throws PermissionError `scope_missing` for a key that may do more than the client's own, or
	 * shall
	 * @throws ConflictError `key_ended` for a key that was revoked or has expired; `last_key` when no
	 * other one has `keys:admin`
	 * @example
	 * ```ts
	 * const { id } = await client.keys.create({ name: "batch" });
	 * const { spend_limits } = await client.keys.update(id, { spend_limits: { day: 1_000_000 } });
	 * console.log(id, "may spend", spend_limits?.day, "micro-USD a day");
	 * ```
	 */
	update(id: string, change: KeyChange, options?: CallOptions): Promise<Key> {
		return this.#transport.json({
			...optionsOf(options),
			method: "PATCH",
			path: `/v1/keys/${encodeURIComponent(id)}`,
			json: change,
		});
	}

	/**
	 * Gives a key a new secret, which the API shows in this answer only. The earlier ones work until
	 * the grace ends. `key` is null if this rotation happened before, under its `idempotencyKey`.
	 *
	 * @throws PermissionError `scope_missing` for a key that may do more than the client's own
	 * @throws ConflictError `key_ended` for a key that was revoked or has expired
	 * @example
	 * ```ts
	 * const { id } = await client.keys.create({ name: "nightly" });
	 * const { key, secrets } = await client.keys.rotate(id, { grace: 3_600 });
	 * console.log(`${key?.slice(0, 8)} is new, and ${secrets.length} secrets work`);
	 * ```
	 */
	rotate(
		id: string,
		{ grace, idempotencyKey, ...options }: RotateOptions = {},
	): Promise<RotatedKey> {
		return this.#transport.json({
			...optionsOf(options),
			method: "POST",
			path: `/v1/keys/${encodeURIComponent(id)}/rotate`,
			headers: { "Idempotency-Key": idempotencyKey },
			json: { grace },
			idempotent: idempotencyKey !== undefined,
		});
	}

	/**
	 * Revokes a key, by its id (`key_…`). The API refuses it from the next call on.
	 *
	 * @throws ConflictError `last_key` when it is the account's last key with `keys:admin`
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
