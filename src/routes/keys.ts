/** The caller's own API keys. */
import { createRoute, z } from "@hono/zod-openapi";
import { issueKey } from "../api-key.ts";
import type {
	KeyChange as KeyChanges,
	KeyView,
	NewKey,
} from "../contract/key.ts";
import { config } from "../env.ts";
import { requires, unwrapForCaller } from "../http/authenticate.ts";
import { body, SMALL_BODY } from "../http/body.ts";
import { newRouter } from "../http/router.ts";
import {
	CreatedKey,
	Key,
	KeyChange,
	KeyList,
	KeyRequest,
	RotatedKey,
	RotationRequest,
} from "../schema/account.ts";
import { idempotencyKeyOf } from "../submit/request.ts";
import { JSON_CALL, problems } from "./failures.ts";
import { idParams, json, NOT_STORED, replayed } from "./kit.ts";

export const keys = newRouter();

const params = idParams("key_01JD8Z6Q3V9Y4K2M7N5P8R1S3T");

keys.openapi(
	createRoute({
		method: "get",
		path: "/",
		operationId: "listKeys",
		summary: "The account's keys, without their secrets",
		...requires("keys:admin"),
		responses: {
			200: { description: "The keys, oldest first", content: json(KeyList) },
			...problems(401, 429, "bound_key"),
		},
	}),
	async (c) => {
		const { account, credential } = c.var.caller;
		const { keys } = unwrapForCaller(c, await account.keysOf(credential));
		return c.json({ data: keys.map(keyWire), next_cursor: null }, 200);
	},
);

keys.openapi(
	createRoute({
		method: "post",
		path: "/",
		operationId: "createKey",
		summary: "Create an API key; it is shown this once",
		description:
			"`scopes` say what the key may do: only one with `keys:admin` creates keys, and none that " +
			"may do more than itself. With `origins` for a web page: it works on those pages alone, " +
			"and sees and touches only the jobs and uploads that it made itself. It cannot use " +
			"account, keys, events and webhooks, and its jobs cannot name a `webhook` (403). It is " +
			"still public, so give its account no more credit than you would lose.",
		...requires("keys:admin", body({ limit: SMALL_BODY })),
		request: { body: { required: true, content: json(KeyRequest) } },
		responses: {
			201: { description: "The key", content: json(CreatedKey) },
			...problems(...JSON_CALL, "bound_key", "too_many_keys"),
		},
	}),
	async (c) => {
		const { account, credential, id } = c.var.caller;
		const { key, secretHash } = await issue(c.env, id);
		const added = unwrapForCaller(
			c,
			await account.addKey(
				credential,
				newKeyOf(c.req.valid("json"), secretHash),
			),
		);
		return c.json({ ...keyWire(added.key), key }, 201, NOT_STORED);
	},
);

keys.openapi(
	createRoute({
		method: "get",
		path: "/{id}",
		operationId: "getKey",
		summary: "A key, without its secrets",
		...requires("keys:admin"),
		request: { params },
		responses: {
			200: { description: "The key", content: json(Key) },
			...problems(401, 429, "bound_key", "key_not_found"),
		},
	}),
	async (c) => {
		const { account, credential } = c.var.caller;
		const { id } = c.req.valid("param");
		const found = unwrapForCaller(c, await account.key(credential, id));
		return c.json(keyWire(found.key), 200);
	},
);

keys.openapi(
	createRoute({
		method: "patch",
		path: "/{id}",
		operationId: "changeKey",
		summary: "Change what a key may do",
		description:
			"What is left out stays. The key that you call with needs every scope of the one that it " +
			"changes, before and after; it may be the same. From the next call on the change is in " +
			"force; jobs that run go on.",
		...requires("keys:admin", body({ limit: SMALL_BODY })),
		request: { params, body: { required: true, content: json(KeyChange) } },
		responses: {
			200: { description: "The key after it", content: json(Key) },
			...problems(
				...JSON_CALL,
				"bound_key",
				"key_not_found",
				"key_ended",
				"last_key",
			),
		},
	}),
	async (c) => {
		const { account, credential } = c.var.caller;
		const { id } = c.req.valid("param");
		const changed = unwrapForCaller(
			c,
			await account.changeKey(credential, id, changeOf(c.req.valid("json"))),
		);
		return c.json(keyWire(changed.key), 200);
	},
);

keys.openapi(
	createRoute({
		method: "post",
		path: "/{id}/rotate",
		operationId: "rotateKey",
		summary: "A new secret for a key",
		description:
			"The key keeps its id and all that it may do. Its earlier secrets work until the grace " +
			"ends, `secrets` shows which and when each was last used. The key that you call with needs " +
			"every scope of the one that it rotates, which may be itself. With an `Idempotency-Key` it " +
			"happens once: a repeat changes nothing and shows no secret again, so whoever lost the " +
			"answer rotates once more under another name.",
		...requires("keys:admin", body({ limit: SMALL_BODY })),
		request: {
			params,
			headers: z.object({
				"idempotency-key": z.string().optional().openapi({
					description:
						"1 to 255 visible ASCII characters that name this rotation of this key, such as a UUID",
					example: "7f0c1f0e-5b0a-4e0c-9a54-2f6f5b1e2c11",
				}),
			}),
			body: { required: true, content: json(RotationRequest) },
		},
		responses: {
			200: {
				description: "The key with its new secret",
				headers: z.object({ "Idempotent-Replayed": replayed }),
				content: json(RotatedKey),
			},
			...problems(
				...JSON_CALL,
				"bound_key",
				"key_not_found",
				"key_ended",
				"too_many_secrets",
				"idempotency_conflict",
			),
		},
	}),
	async (c) => {
		const { account, credential, id: owner } = c.var.caller;
		const { id } = c.req.valid("param");
		const { grace } = c.req.valid("json");
		const name = await idempotencyKeyOf(c.req.header("Idempotency-Key"));
		const { key, secretHash } = await issue(c.env, owner);
		const rotated = unwrapForCaller(
			c,
			await account.rotateKey(credential, id, { secretHash, grace, name }),
		);
		if (rotated.isRepeat) c.header("Idempotent-Replayed", "true");
		return c.json(
			{ ...keyWire(rotated.key), key: rotated.isRepeat ? null : key },
			200,
			NOT_STORED,
		);
	},
);

keys.openapi(
	createRoute({
		method: "delete",
		path: "/{id}",
		operationId: "revokeKey",
		summary: "Revoke a key; it is refused from the next call on",
		description:
			"Repeating it changes nothing. The last key with `keys:admin` stays (409): create another " +
			"one first.",
		...requires("keys:admin"),
		request: { params },
		responses: {
			200: { description: "The revoked key", content: json(Key) },
			...problems(401, 429, "bound_key", "key_not_found", "last_key"),
		},
	}),
	async (c) => {
		const { account, credential } = c.var.caller;
		const { id } = c.req.valid("param");
		const dropped = unwrapForCaller(c, await account.dropKey(credential, id));
		return c.json(keyWire(dropped.key), 200);
	},
);

/** Makes a secret, signed for this account. */
export const issue = (env: Env, account: string) =>
	issueKey(config(env).KEY_SECRETS[0] as string, account);

/** A request for a key, as the Account takes it. */
export const newKeyOf = (
	{ name, scopes, ...limits }: z.output<typeof KeyRequest>,
	secretHash: string,
): NewKey => ({
	name,
	secretHash,
	...(scopes && { scopes }),
	...changeOf(limits),
});

/** A change of a key, as the Account takes it. */
const changeOf = ({
	name,
	scopes,
	expires_at,
	ip_ranges,
	origins,
	spend_limits,
}: z.output<typeof KeyChange>): KeyChanges => ({
	...(name !== undefined && { name }),
	...(scopes !== undefined && { scopes }),
	...(expires_at !== undefined && {
		expiresAt: expires_at === null ? null : Date.parse(expires_at),
	}),
	...(ip_ranges !== undefined && { ipRanges: ip_ranges }),
	...(origins !== undefined && { origins }),
	...(spend_limits !== undefined && { spendLimits: spend_limits }),
});

/** The wire form of a key. */
export const keyWire = (view: KeyView): z.infer<typeof Key> => ({
	id: view.id,
	object: "key",
	name: view.name,
	created_at: time(view.createdAt),
	scopes: [...view.scopes],
	expires_at: timeOrNull(view.expiresAt),
	revoked_at: timeOrNull(view.revokedAt),
	suspended_at: timeOrNull(view.suspendedAt),
	last_used_at: timeOrNull(view.lastUsedAt),
	origins: view.origins && [...view.origins],
	ip_ranges: view.ipRanges && [...view.ipRanges],
	spend_limits: view.spendLimits,
	spend: view.spend && {
		day: view.spend.day,
		month: view.spend.month,
		total: view.spend.total,
		held: view.spend.held,
		since: time(view.spend.since),
	},
	secrets: view.secrets.map(({ createdAt, expiresAt, lastUsedAt }) => ({
		created_at: time(createdAt),
		expires_at: timeOrNull(expiresAt),
		last_used_at: timeOrNull(lastUsedAt),
	})),
	current: view.current,
});

const time = (ms: number): string => new Date(ms).toISOString();
const timeOrNull = (ms: number | null): string | null =>
	ms === null ? null : time(ms);
