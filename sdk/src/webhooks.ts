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

/** Addresses of the account that its events are delivered to, signed. */
export class Webhooks {
	/** Whether a message came from us. `import { webhooks }` has it without a client. */
	readonly verify: typeof verify = verify;
	readonly #transport: Transport;

	/** @internal */
	constructor(transport: Transport) {
		this.#transport = transport;
	}

	/** The only answer, but for `rotate`, that shows the secret. */
	create(
		request: WebhookRequest,
		options?: CallOptions,
	): Promise<WebhookWithSecret> {
		const call = { method: "POST", json: request, once: true } as const;
		return this.#call("", options, call);
	}

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

	get(id: string, options?: CallOptions): Promise<Webhook> {
		return this.#call(pathOf(id), options);
	}

	update(
		id: string,
		change: WebhookChange,
		options?: CallOptions,
	): Promise<Webhook> {
		const call = { method: "PATCH", json: change } as const;
		return this.#call(pathOf(id), options, call);
	}

	delete(id: string, options?: CallOptions): Promise<void> {
		return this.#call(pathOf(id), options, { method: "DELETE" });
	}

	/** A new secret. The old one signs too for 24 hours. */
	rotate(id: string, options?: CallOptions): Promise<WebhookWithSecret> {
		const call = { method: "POST", once: true } as const;
		return this.#call(`${pathOf(id)}/rotate`, options, call);
	}

	/** Delivers a `webhook.test` event now, and answers how that went. */
	test(id: string, options?: CallOptions): Promise<Delivery> {
		const call = { method: "POST", once: true } as const;
		return this.#call(`${pathOf(id)}/test`, options, call);
	}

	/** What was delivered, or tried, newest first. */
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

	/** Delivers one event again, or all of them after a number. */
	redeliver(
		id: string,
		what: RedeliveryRequest,
		options?: CallOptions,
	): Promise<Redelivery> {
		const call = { method: "POST", json: what } as const;
		return this.#call(`${pathOf(id)}/redeliver`, options, call);
	}

	/** The account's own secret, which signs the webhooks of single jobs. */
	secret(options?: CallOptions): Promise<{ secret: string }> {
		return this.#call("/secret", options);
	}

	rotateSecret(options?: CallOptions): Promise<{ secret: string }> {
		const call = { method: "POST", once: true } as const;
		return this.#call("/secret/rotate", options, call);
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
