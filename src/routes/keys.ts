/** The caller's own API keys. */
import { createRoute, type z } from "@hono/zod-openapi";
import { issueKey } from "../api-key.ts";
import type { KeyView } from "../contract/account.ts";
import { config } from "../env.ts";
import { authenticate, unwrapForCaller } from "../http/authenticate.ts";
import { body, SMALL_BODY } from "../http/body.ts";
import { newRouter } from "../http/router.ts";
import { CreatedKey, Key, KeyList, KeyRequest } from "../schema/account.ts";
import { JSON_CALL, problems } from "./failures.ts";
import { idParams, json, NOT_STORED } from "./kit.ts";

export const keys = newRouter();

keys.openapi(
	createRoute({
		method: "get",
		path: "/",
		operationId: "listKeys",
		summary: "The account's keys, without their secrets",
		middleware: authenticate,
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
			"With `origins` for a web page: it works on those pages alone, and sees and touches only " +
			"the jobs and uploads that it made itself. It cannot use account, keys, events and " +
			"webhooks, and its jobs cannot name a `webhook` (403). It is still public, so give its " +
			"account no more credit than you would lose.",
		middleware: [authenticate, body({ limit: SMALL_BODY })] as const,
		request: { body: { required: true, content: json(KeyRequest) } },
		responses: {
			201: { description: "The key", content: json(CreatedKey) },
			...problems(...JSON_CALL, "bound_key", "too_many_keys"),
		},
	}),
	async (c) => {
		const { account, credential, id } = c.var.caller;
		const { name, origins = null } = c.req.valid("json");
		const [signer] = config(c.env).KEY_SECRETS as [string];
		const issued = await issueKey(signer, id);
		const added = unwrapForCaller(
			c,
			await account.addKey(credential, {
				name,
				origins,
				secretHash: issued.secretHash,
			}),
		);
		return c.json({ ...keyWire(added.key), key: issued.key }, 201, NOT_STORED);
	},
);

keys.openapi(
	createRoute({
		method: "delete",
		path: "/{id}",
		operationId: "revokeKey",
		summary: "Revoke a key; it is refused from the next call on",
		description:
			"Repeating it changes nothing. The last key without `origins` stays (409): create another " +
			"one first.",
		middleware: authenticate,
		request: {
			params: idParams("key_01JD8Z6Q3V9Y4K2M7N5P8R1S3T"),
		},
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

/** The wire form of a key. */
export const keyWire = (view: KeyView): z.infer<typeof Key> => ({
	id: view.id,
	object: "key",
	name: view.name,
	created_at: view.createdAt,
	revoked_at: view.revokedAt,
	origins: view.origins,
	current: view.current,
});
