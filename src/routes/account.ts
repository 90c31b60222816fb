/**
 * The caller's account: its balance.
 *
 * Runs in the Worker, as all of routes/ does.
 */
import { createRoute, z } from "@hono/zod-openapi";
import type { AccountView } from "../contract/account.ts";
import { requires, unwrapForCaller } from "../http/authenticate.ts";
import { newRouter } from "../http/router.ts";
import { Account } from "../schema/account.ts";
import { problems } from "./failures.ts";
import { json } from "./kit.ts";

/** The caller's own account. */
export const account = newRouter();

account.openapi(
	createRoute({
		method: "get",
		path: "/",
		operationId: "getAccount",
		summary: "The account of this key, with its balance",
		description: "Not for keys with `origins`, which are public.",
		...requires("billing:read"),
		responses: {
			200: { description: "The account", content: json(Account) },
			...problems(401, 429, "bound_key"),
		},
	}),
	async (c) => {
		const { account, credential } = c.var.caller;
		const shown = unwrapForCaller(c, await account.showTo(credential));
		return c.json(accountWire(shown.account), 200);
	},
);

account.openapi(
	createRoute({
		method: "delete",
		path: "/",
		operationId: "closeAccount",
		summary: "Close the account for good",
		description:
			"All keys end at once. Jobs with their texts, images, uploads, webhooks, events, the saved " +
			"card and who owns the account are erased within minutes; the ledger stays. What is left " +
			"of the balance is lost: ask the operator for it before. `minigpt4 export` saves the rest.",
		...requires("keys:admin"),
		request: {
			query: z.strictObject({
				confirm: z.string().default("").openapi({
					description: "The account's id, without which nothing is done",
					example: "0123456789abcdef",
				}),
			}),
		},
		responses: {
			204: { description: "It is closed" },
			...problems(400, 401, 409, 429, "bound_key", "account_busy"),
		},
	}),
	async (c) => {
		const { account, credential } = c.var.caller;
		const { confirm } = c.req.valid("query");
		unwrapForCaller(c, await account.closeAccount(credential, confirm));
		return c.body(null, 204);
	},
);

/** The wire form of an account. */
export const accountWire = (view: AccountView): z.infer<typeof Account> => ({
	id: view.id,
	object: "account",
	name: view.name,
	created_at: view.createdAt,
	balance: { available: view.available, held: view.held },
	suspended_at: view.suspendedAt,
	frozen_at: view.frozenAt,
});
