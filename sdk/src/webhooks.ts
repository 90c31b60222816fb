import { type Page, Paged } from "./paged.ts";
import {
	type Call,
	type CallOptions,
	optionsOf,
	type Transport,
} from "./transport.ts";
import type {
	Delivery,
	Redelivery,
	RedeliveryRequest,
	Webhook,
	WebhookChange,
	WebhookRequest,
	WebhookWithSecret,
} from "./types.ts";
import { verify } from "./verify.ts";

/** Addresses that the API delivers the account's events to, signed: `client.webhooks`. */
export class Webhooks {
	/** The same as `webhooks.verify`, which needs no client: see there. */
	readonly verify: typeof verify = verify;
	readonly #transport: Transport;

	/** @internal */
	constructor(transport: Transport) {
		this.#transport = transport;
	}

	/**
	 * Creates a webhook. The answer has the secret to verify messages with; only `rotate` shows one
	 * again. Without `events`, the webhook receives how jobs end.
	 *
	 * @throws RequestError, for an address that is not public; ConflictError `too_many_webhooks`
	 * @example
	 * ```ts
	 * const { id, secret } = await client.webhooks.create({
	 * 	url: "https://example.com/hooks/minigpt4",
	 * 	events: ["job.succeeded", "job.failed"],
	 * });
	 * console.log(id, "signs with a secret that starts with", secret.slice(0, 6));
	 * ```
	 */
	create(
		request: WebhookRequest,
		options?: CallOptions,
	): Promise<WebhookWithSecret> {
		return this.#call("", options, {
			method: "POST",
			json: request,
			idempotent: false,
		});
	}

	/**
	 * Lists the account's webhooks, without their secrets.
	 *
	 * @param options `limit` is the size of a page, 1 to 100; `cursor` starts at a later page
	 * @example
	 * ```ts
	 * await client.webhooks.create({ url: "https://example.com/hooks/list" });
	 * for await (const webhook of client.webhooks.list())
	 * 	console.log(webhook.id, webhook.status, webhook.url);
	 * ```
	 */
	list({
		limit,
		cursor,
		...options
	}: CallOptions & { limit?: number; cursor?: string } = {}): Paged<Webhook> {
		return new Paged((next = cursor) =>
			this.#call<Page<Webhook>>("", options, {
				query: { limit, cursor: next },
			}),
		);
	}

	/**
	 * Gets a webhook: its address, its events, and whether it is enabled.
	 *
	 * @throws NotFoundError
	 * @example
	 * ```ts
	 * const { id } = await client.webhooks.create({ url: "https://example.com/hooks/get" });
	 * const { status, last_success_at } = await client.webhooks.get(id);
	 * console.log(id, status, last_success_at);
	 * ```
	 */
	get(id: string, options?: CallOptions): Promise<Webhook> {
		return this.#call(pathOf(id), options);
	}

	/**
	 * Changes a webhook's address, events or description, or enables it again after the API disabled
	 * it.
	 *
	 * @throws NotFoundError, RequestError
	 * @example
	 * ```ts
	 * const { id } = await client.webhooks.create({ url: "https://example.com/hooks/update" });
	 * const { events } = await client.webhooks.update(id, { events: ["job.failed"] });
	 * console.log(id, "receives", events);
	 * ```
	 */
	update(
		id: string,
		change: WebhookChange,
		options?: CallOptions,
	): Promise<Webhook> {
		return this.#call(pathOf(id), options, { method: "PATCH", json: change });
	}

	/**
	 * Deletes a webhook. Nothing more is delivered to it.
	 *
	 * @throws NotFoundError
	 * @example
	 * ```ts
	 * const { id } = await client.webhooks.create({ url: "https://example.com/hooks/delete" });
	 * await client.webhooks.delete(id);
	 * console.log("Deleted", id);
	 * ```
	 */
	delete(id: string, options?: CallOptions): Promise<void> {
		return this.#call(pathOf(id), options, { method: "DELETE" });
	}

	/**
	 * Replaces a webhook's secret, and shows the new one in this answer only. For 24 hours messages
	 * are signed with both.
	 *
	 * @throws NotFoundError
	 * @example
	 * ```ts
	 * const { id } = await client.webhooks.create({ url: "https://example.com/hooks/rotate" });
	 * const { secret } = await client.webhooks.rotate(id);
	 * console.log(id, "signs with a new secret that starts with", secret.slice(0, 6));
	 * ```
	 */
	rotate(id: string, options?: CallOptions): Promise<WebhookWithSecret> {
		return this.#call(`${pathOf(id)}/rotate`, options, {
			method: "POST",
			idempotent: false,
		});
	}

	/**
	 * Delivers a `webhook.test` event now, and returns how the delivery went.
	 *
	 * @throws NotFoundError
	 * @example
	 * ```ts
	 * const { id } = await client.webhooks.create({ url: "https://example.com/hooks/test" });
	 * const { status, http_status, error } = await client.webhooks.test(id);
	 * console.log("test", status, http_status ?? error);
	 * ```
	 */
	test(id: string, options?: CallOptions): Promise<Delivery> {
		return this.#call(`${pathOf(id)}/test`, options, {
			method: "POST",
			idempotent: false,
		});
	}

	/**
	 * Lists a webhook's deliveries and how each went, newest first.
	 *
	 * @param options `limit` is the size of a page, 1 to 100; `cursor` starts at a later page
	 * @throws NotFoundError
	 * @example
	 * ```ts
	 * const { id } = await client.webhooks.create({ url: "https://example.com/hooks/log" });
	 * await client.webhooks.test(id);
	 * for await (const delivery of client.webhooks.deliveries(id))
	 * 	console.log(delivery.type, delivery.status, delivery.http_status ?? delivery.error);
	 * ```
	 */
	deliveries(
		id: string,
		{
			limit,
			cursor,
			...options
		}: CallOptions & { limit?: number; cursor?: string } = {},
	): Paged<Delivery> {
		return new Paged((next = cursor) =>
			this.#call<Page<Delivery>>(`${pathOf(id)}/deliveries`, options, {
				query: { limit, cursor: next },
			}),
		);
	}

	/**
	 * Delivers again: one event (`{ event: "evt_…" }`), or every event after a number (`{ after }`).
	 *
	 * @throws NotFoundError, GoneError `events_gone`
	 * @example
	 * ```ts
	 * const { id } = await client.webhooks.create({ url: "https://example.com/hooks/again" });
	 * const { last_seq } = await client.events.list({ limit: 1 }).page();
	 * await client.webhooks.redeliver(id, { after: last_seq });
	 * console.log(`Every event after ${last_seq} is delivered again.`);
	 * ```
	 */
	redeliver(
		id: string,
		what: RedeliveryRequest,
		options?: CallOptions,
	): Promise<Redelivery> {
		return this.#call(`${pathOf(id)}/redeliver`, options, {
			method: "POST",
			json: what,
		});
	}

	/**
	 * Gets the account's own secret. It signs the webhook that a single job names in its request.
	 *
	 * @example
	 * ```ts
	 * const { secret } = await client.webhooks.secret();
	 * console.log("The account's secret starts with", secret.slice(0, 6));
	 * ```
	 */
	secret(options?: CallOptions): Promise<{ secret: string }> {
		return this.#call("/secret", options);
	}

	/**
	 * Replaces the account's own secret. For 24 hours messages are signed with both.
	 *
	 * @example
	 * ```ts
	 * const { secret } = await client.webhooks.rotateSecret();
	 * console.log("The account's new secret starts with", secret.slice(0, 6));
	 * ```
	 */
	rotateSecret(options?: CallOptions): Promise<{ secret: string }> {
		return this.#call("/secret/rotate", options, {
			method: "POST",
			idempotent: false,
		});
	}

	#call<T>(
		path: string,
		options?: CallOptions,
		call: Omit<Call, "path"> = {},
	): Promise<T> {
		return this.#transport.json({
			...optionsOf(options),
			...call,
			path: `/v1/webhooks${path}`,
		});
	}
}

const pathOf = (id: string) => `/${encodeURIComponent(id)}`;
