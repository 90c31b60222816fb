/** Webhooks: where an account's events are sent, and the deliveries to them. */
import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { WebhookView } from "../contract/account.ts";
import type { DeliveryView } from "../contract/endpoint.ts";
import { config } from "../env.ts";
import { ApiError } from "../errors.ts";
import { requires, unwrapForCaller } from "../http/authenticate.ts";
import { body, SMALL_BODY } from "../http/body.ts";
import { type App, newRouter } from "../http/router.ts";
import { endpointOf } from "../objects.ts";
import { seqOf } from "../schema/feed-wire.ts";
import {
	AccountWebhookSecret,
	Delivery,
	DeliveryList,
	Redelivery,
	RedeliveryRequest,
	Webhook,
	WebhookChange,
	WebhookList,
	WebhookRequest,
	WebhookWithSecret,
} from "../schema/webhook.ts";
import { webhookUrl } from "../submit/webhook-address.ts";
import { JSON_CALL, problems } from "./failures.ts";
import { idParams, json, NOT_STORED, originOf, pageLimit } from "./kit.ts";

export const webhooks = newRouter();

const params = idParams("wh_01JD8Z6Q3V9Y4K2M7N5P8R1S3T");

webhooks.openapi(
	createRoute({
		method: "post",
		path: "/",
		operationId: "createWebhook",
		summary: "Have events sent to an address",
		description:
			"From now on each event of these types is POSTed there as `{type, timestamp, data}`, " +
			"signed after Standard Webhooks with the secret that this answer shows; `data` of a job's " +
			"end is the whole job. Any 2xx within 15 s accepts it. What is not accepted is tried again " +
			"after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h, up to a tenth longer each; " +
			"the events of one job come in order, each when the one before was accepted or given up. " +
			"Deliveries may repeat: `webhook-id` is the event's id. 410 disables the webhook at once, " +
			"and so do five days without one success; both are events.",
		...requires("webhooks:admin", body({ limit: SMALL_BODY })),
		request: { body: { required: true, content: json(WebhookRequest) } },
		responses: {
			201: { description: "The webhook", content: json(WebhookWithSecret) },
			...problems(
				...JSON_CALL,
				"bound_key",
				"too_many_webhooks",
				"url_refused",
			),
		},
	}),
	async (c) => {
		const { caller } = c.var;
		const { url, ...wanted } = c.req.valid("json");
		const { webhook } = unwrapForCaller(
			c,
			await caller.account.createWebhook(caller.credential, {
				...wanted,
				url: checkUrl(c, url),
				origin: originOf(c),
			}),
		);
		const ref = { account: caller.id, id: webhook.id };
		const secret = await endpoint(c, webhook.id).secret(ref);
		return c.json({ ...webhookWire(webhook, null), secret }, 201, NOT_STORED);
	},
);

webhooks.openapi(
	createRoute({
		method: "get",
		path: "/",
		operationId: "listWebhooks",
		summary: "The account's webhooks, oldest first",
		description: "Without the webhooks of jobs.",
		...requires("webhooks:admin"),
		responses: {
			200: { description: "The webhooks", content: json(WebhookList) },
			...problems(401, 429, "bound_key"),
		},
	}),
	async (c) => {
		const { caller } = c.var;
		const { webhooks } = unwrapForCaller(
			c,
			await caller.account.webhooks(caller.credential),
		);
		const data = await Promise.all(
			webhooks.map((webhook) => readWebhook(c, webhook)),
		);
		return c.json({ data, next_cursor: null }, 200);
	},
);

// Before `/{id}`: "secret" is not a webhook's id.
webhooks.openapi(
	createRoute({
		method: "get",
		path: "/secret",
		operationId: "getWebhookSecret",
		summary: "The account's own secret, which signs what jobs' webhooks get",
		...requires("webhooks:admin"),
		responses: {
			200: { description: "The secret", content: json(AccountWebhookSecret) },
			...problems(401, 429, "bound_key"),
		},
	}),
	async (c) => {
		const { account, credential } = c.var.caller;
		const { secret } = unwrapForCaller(
			c,
			await account.webhookSecret(credential),
		);
		return c.json({ secret }, 200, NOT_STORED);
	},
);

webhooks.openapi(
	createRoute({
		method: "post",
		path: "/secret/rotate",
		operationId: "rotateWebhookSecret",
		summary: "A new secret for jobs' webhooks",
		description: "The old one signs too for 24 hours.",
		...requires("webhooks:admin"),
		responses: {
			200: {
				description: "The new secret",
				content: json(AccountWebhookSecret),
			},
			...problems(401, 429, "bound_key"),
		},
	}),
	async (c) => {
		const { account, credential } = c.var.caller;
		const rotated = await account.rotateWebhookSecret(credential);
		const { secret } = unwrapForCaller(c, rotated);
		return c.json({ secret }, 200, NOT_STORED);
	},
);

webhooks.openapi(
	createRoute({
		method: "get",
		path: "/{id}",
		operationId: "getWebhook",
		summary: "A webhook",
		...requires("webhooks:admin"),
		request: { params },
		responses: {
			200: { description: "The webhook", content: json(Webhook) },
			...problems(401, 429, "bound_key", "webhook_not_found"),
		},
	}),
	async (c) => {
		const webhook = await findWebhook(c);
		return c.json(await readWebhook(c, webhook), 200);
	},
);

webhooks.openapi(
	createRoute({
		method: "patch",
		path: "/{id}",
		operationId: "changeWebhook",
		summary: "Change a webhook, or enable it again",
		description:
			"Pending deliveries go to the new `url` at once. Of a job's webhook only `status` can be " +
			"changed.",
		...requires("webhooks:admin", body({ limit: SMALL_BODY })),
		request: {
			params,
			body: { required: true, content: json(WebhookChange) },
		},
		responses: {
			200: { description: "The webhook", content: json(Webhook) },
			...problems(
				...JSON_CALL,
				"bound_key",
				"webhook_not_found",
				"url_refused",
			),
		},
	}),
	async (c) => {
		const { caller } = c.var;
		const { url, events, description, status } = c.req.valid("json");
		const changed = await caller.account.changeWebhook(
			caller.credential,
			c.req.valid("param").id,
			{
				...(url !== undefined && { url: checkUrl(c, url) }),
				...(events && { events }),
				...(description !== undefined && { description }),
				enable: status === "enabled",
			},
		);
		const { webhook } = unwrapForCaller(c, changed);
		return c.json(await readWebhook(c, webhook), 200);
	},
);

webhooks.openapi(
	createRoute({
		method: "delete",
		path: "/{id}",
		operationId: "deleteWebhook",
		summary: "Delete a webhook and its pending deliveries",
		...requires("webhooks:admin"),
		request: { params },
		responses: {
			204: { description: "Deleted" },
			...problems(401, 429, "bound_key", "webhook_not_found"),
		},
	}),
	async (c) => {
		const { account, credential } = c.var.caller;
		const { id } = c.req.valid("param");
		unwrapForCaller(c, await account.deleteWebhook(credential, id));
		return c.body(null, 204);
	},
);

webhooks.openapi(
	createRoute({
		method: "post",
		path: "/{id}/rotate",
		operationId: "rotateWebhook",
		summary: "A new secret for a webhook",
		description: "The old one signs too for 24 hours.",
		...requires("webhooks:admin"),
		request: { params },
		responses: {
			200: {
				description: "The webhook with its new secret",
				content: json(WebhookWithSecret),
			},
			...problems(400, 401, 429, "bound_key", "webhook_not_found"),
		},
	}),
	async (c) => {
		const { caller } = c.var;
		const webhook = await findWebhook(c);
		if (webhook.scope === "job")
			throw new ApiError({
				code: "invalid_request",
				field: "id",
				detail:
					"`id` is a job's webhook, which the account's secret signs. POST " +
					"/v1/webhooks/secret/rotate.",
			});
		const ref = { account: caller.id, id: webhook.id };
		const secret = await endpoint(c, webhook.id).rotate(ref);
		const now = await readWebhook(c, webhook);
		return c.json({ ...now, secret }, 200, NOT_STORED);
	},
);

webhooks.openapi(
	createRoute({
		method: "post",
		path: "/{id}/test",
		operationId: "testWebhook",
		summary: "Send a test event now",
		description:
			"Attempts one delivery of a `webhook.test` event, also to a disabled webhook, and returns " +
			"it.",
		...requires("webhooks:admin"),
		request: { params },
		responses: {
			200: { description: "The delivery", content: json(Delivery) },
			...problems(401, 429, "bound_key", "webhook_not_found"),
		},
	}),
	async (c) => {
		const { caller } = c.var;
		const { id } = await findWebhook(c);
		const ref = { account: caller.id, id };
		const tested = await endpoint(c, id).sendTest(ref);
		if (!tested) throw new ApiError({ code: "webhook_not_found" });
		return c.json(deliveryOf(tested), 200);
	},
);

webhooks.openapi(
	createRoute({
		method: "get",
		path: "/{id}/deliveries",
		operationId: "listDeliveries",
		summary: "The deliveries to a webhook, newest first",
		description:
			"Finished deliveries are kept for 30 days, the newest 10,000 of them.",
		...requires("webhooks:admin"),
		request: {
			params,
			query: z.strictObject({
				cursor: z
					.string()
					.regex(/^\d{1,15}$/, "is not a cursor of this list")
					.optional(),
				limit: pageLimit,
			}),
		},
		responses: {
			200: { description: "A page of deliveries", content: json(DeliveryList) },
			...problems(400, 401, 429, "bound_key", "webhook_not_found"),
		},
	}),
	async (c) => {
		const { id } = await findWebhook(c);
		const { cursor, limit } = c.req.valid("query");
		const before = cursor === undefined ? null : Number(cursor);
		const page = await endpoint(c, id).deliveries(before, limit);
		return c.json(
			{
				data: page.deliveries.map(deliveryOf),
				next_cursor: page.next === null ? null : String(page.next),
			},
			200,
		);
	},
);

webhooks.openapi(
	createRoute({
		method: "post",
		path: "/{id}/redeliver",
		operationId: "redeliver",
		summary: "Deliver one event again, or all after one",
		description:
			"`event`: that one, now, whatever its type. `after`: the webhook goes on in the feed after " +
			"that number, whether it was there before or not; deliveries that are pending stay pending.",
		...requires("webhooks:admin", body({ limit: SMALL_BODY })),
		request: {
			params,
			body: { required: true, content: json(RedeliveryRequest) },
		},
		responses: {
			202: { description: "It is under way", content: json(Redelivery) },
			...problems(
				...JSON_CALL,
				"bound_key",
				"webhook_not_found",
				"webhook_disabled",
				"event_not_found",
				"events_gone",
			),
		},
	}),
	async (c) => {
		const { caller } = c.var;
		const { id } = c.req.valid("param");
		const request = c.req.valid("json");
		const target =
			"after" in request ? request : { event: seqOf(caller.id, request.event) };
		const { event, after, lastSeq } = unwrapForCaller(
			c,
			await caller.account.redelivery(caller.credential, id, target),
		);
		const ref = { account: caller.id, id };
		const object = endpoint(c, id);
		const delivery = event && (await object.redeliver(ref, event));
		if (after !== null) await object.rewind(ref, after);
		return c.json(
			{
				webhook: id,
				delivery: delivery && deliveryOf(delivery),
				after,
				last_seq: lastSeq,
			},
			202,
		);
	},
);

const endpoint = (c: Context<App>, id: string) =>
	endpointOf(c.env, c.var.caller.id, id);

/** @throws ApiError `webhook_not_found` */
async function findWebhook(c: Context<App>): Promise<WebhookView> {
	const id = c.req.param("id") as string;
	const { account, credential } = c.var.caller;
	return unwrapForCaller(c, await account.webhook(credential, id)).webhook;
}

/** @throws ApiError `url_refused` */
const checkUrl = (c: Context<App>, url: string): string =>
	webhookUrl(url, "url", config(c.env).EGRESS_ALLOW);

/** The wire form of a webhook, with its last success, which its Endpoint knows. */
async function readWebhook(
	c: Context<App>,
	webhook: WebhookView,
): Promise<Webhook> {
	const success = await endpoint(c, webhook.id).lastSuccess();
	return webhookWire(webhook, success);
}

const webhookWire = (
	webhook: WebhookView,
	lastSuccess: number | null,
): Webhook => ({
	id: webhook.id,
	object: "webhook",
	scope: webhook.scope,
	url: webhook.url,
	events: webhook.events,
	description: webhook.description,
	status: webhook.status,
	disabled_reason: webhook.reason,
	created_at: time(webhook.createdAt),
	last_success_at: lastSuccess === null ? null : time(lastSuccess),
});

const deliveryOf = (view: DeliveryView): Delivery => ({
	id: `dlv_${view.id}`,
	object: "delivery",
	event: view.event,
	type: view.type,
	seq: view.seq,
	attempt: view.tries,
	at: time(view.at),
	status: view.status,
	http_status: view.httpStatus,
	error: view.error,
	duration_ms: view.durationMs,
	next_attempt_at: view.nextAt === null ? null : time(view.nextAt),
});

const time = (ms: number): string => new Date(ms).toISOString();
