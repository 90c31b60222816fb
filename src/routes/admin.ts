/** Accounts, keys and credit, for operators. Without ADMIN_SECRET these routes answer 404. */

import { createRoute, z } from "@hono/zod-openapi";
import type { Account } from "../account/account.ts";
import { isAccountId, newAccountId } from "../api-key.ts";
import type { AuditedAccount as AuditedView } from "../contract/account.ts";
import type { DirectoryEntry } from "../contract/directory.ts";
import { sha256 } from "../crypto.ts";
import { config } from "../env.ts";
import { ApiError, unwrap } from "../errors.ts";
import { body, SMALL_BODY } from "../http/body.ts";
import { authenticateOperator } from "../http/operators.ts";
import { newRouter } from "../http/router.ts";
import { accountOf, directoryOf } from "../objects.ts";
import {
	AccountList,
	AccountRequest,
	AuditedAccount,
	CreatedKey,
	CreditRequest,
	Key,
	KeyList,
	KeyRequest,
	SignInLink,
} from "../schema/account.ts";
import { newLinkCode } from "../session/link-code.ts";
import { accountWire } from "./account.ts";
import { JSON_BODY, problems } from "./failures.ts";
import { issue, keyWire, newKeyOf } from "./keys.ts";
import { idParams, json, NOT_STORED, originOf, pageLimit } from "./kit.ts";

export const admin = newRouter();

admin.openAPIRegistry.registerComponent("securitySchemes", "admin", {
	type: "http",
	scheme: "bearer",
	description: "The deployment's admin secret.",
});

const security = [{ admin: [] }];
/** How long a link signs in. */
const LINK_MS = 15 * 60_000;
const AccountParams = idParams("0123456789abcdef");
const KeyParams = AccountParams.extend({
	key_id: z.string().openapi({ example: "key_01JD8Z6Q3V9Y4K2M7N5P8R1S3T" }),
});

admin.openapi(
	createRoute({
		method: "post",
		path: "/accounts",
		operationId: "createAccount",
		summary: "Create an account",
		security,
		middleware: [authenticateOperator, body({ limit: SMALL_BODY })] as const,
		request: { body: { required: true, content: json(AccountRequest) } },
		responses: {
			201: { description: "The new account", content: json(AuditedAccount) },
			...problems(429, ...JSON_BODY, "invalid_admin_secret"),
		},
	}),
	async (c) => {
		const id = newAccountId();
		const { name } = c.req.valid("json");
		// First, so that no account is unlisted.
		await directoryOf(c.env).register({ id, name });
		const created = unwrap(await stub(c.env, id).create({ id, name }));
		return c.json(auditedWire(created.account), 201, {
			Location: `/admin/accounts/${id}`,
		});
	},
);

admin.openapi(
	createRoute({
		method: "get",
		path: "/accounts",
		operationId: "searchAccounts",
		summary: "The deployment's accounts, newest first",
		security,
		middleware: authenticateOperator,
		request: {
			query: z.strictObject({
				query: z.string().max(128).default("").openapi({
					description:
						"A part of the name, or the start of the id or of the subject at the provider",
				}),
				cursor: z
					.string()
					.regex(/^\d{1,15}$/)
					.optional(),
				limit: pageLimit,
			}),
		},
		responses: {
			200: { description: "A page of accounts", content: json(AccountList) },
			...problems(400, "invalid_admin_secret"),
		},
	}),
	async (c) => {
		const { query, cursor = null, limit } = c.req.valid("query");
		const page = await directoryOf(c.env).search({
			text: query,
			cursor,
			limit,
		});
		return c.json(
			{ data: page.entries.map(entryWire), next_cursor: page.nextCursor },
			200,
		);
	},
);

admin.openapi(
	createRoute({
		method: "post",
		path: "/accounts/{id}/sign-in-links",
		operationId: "createSignInLink",
		summary: "Create a link that signs in to the console once",
		description: "For whoever has no account at the sign-in provider.",
		security,
		middleware: authenticateOperator,
		request: { params: AccountParams },
		responses: {
			201: { description: "The link", content: json(SignInLink) },
			...problems(429, "invalid_admin_secret", "account_not_found"),
		},
	}),
	async (c) => {
		const { id } = c.req.valid("param");
		// An account that is older than the Directory is listed now.
		const { account } = unwrap(await stub(c.env, id).show());
		await directoryOf(c.env).register({ id, name: account.name });
		const code = await newLinkCode(config(c.env).KEY_SECRETS[0] as string);
		const expiresAt = Date.now() + LINK_MS;
		unwrap(await directoryOf(c.env).addLink(id, await sha256(code), expiresAt));
		return c.json(
			{
				// A fragment is not sent, so that the code is in no server's log.
				url: `${originOf(c)}/console#link=${code}`,
				expires_at: new Date(expiresAt).toISOString(),
			},
			201,
			NOT_STORED,
		);
	},
);

admin.openapi(
	createRoute({
		method: "get",
		path: "/accounts/{id}",
		operationId: "getAnyAccount",
		summary: "An account, with its balance",
		security,
		middleware: authenticateOperator,
		request: { params: AccountParams },
		responses: {
			200: { description: "The account", content: json(AuditedAccount) },
			...problems("invalid_admin_secret", "account_not_found"),
		},
	}),
	async (c) => {
		const { id } = c.req.valid("param");
		const shown = unwrap(await stub(c.env, id).show());
		return c.json(auditedWire(shown.account), 200);
	},
);

admin.openapi(
	createRoute({
		method: "post",
		path: "/accounts/{id}/credits",
		operationId: "addCredit",
		summary: "Add credit, once per credit id",
		security,
		middleware: [authenticateOperator, body({ limit: SMALL_BODY })] as const,
		request: {
			params: AccountParams,
			body: { required: true, content: json(CreditRequest) },
		},
		responses: {
			200: {
				description: "The account after it",
				content: json(AuditedAccount),
			},
			...problems(
				429,
				...JSON_BODY,
				"invalid_admin_secret",
				"account_not_found",
				"credit_conflict",
			),
		},
	}),
	async (c) => {
		const { id } = c.req.valid("param");
		const credited = unwrap(await stub(c.env, id).credit(c.req.valid("json")));
		return c.json(auditedWire(credited.account), 200);
	},
);

admin.openapi(
	createRoute({
		method: "post",
		path: "/accounts/{id}/keys",
		operationId: "createKeyOf",
		summary: "Create an API key; it is shown this once",
		description:
			"As POST /v1/keys, but without `scopes` and `origins` the key may do everything: an " +
			"account needs one that creates others.",
		security,
		middleware: [authenticateOperator, body({ limit: SMALL_BODY })] as const,
		request: {
			params: AccountParams,
			body: { required: true, content: json(KeyRequest) },
		},
		responses: {
			201: { description: "The key", content: json(CreatedKey) },
			...problems(
				429,
				...JSON_BODY,
				"invalid_admin_secret",
				"account_not_found",
			),
		},
	}),
	async (c) => {
		const { id } = c.req.valid("param");
		const { key, secretHash } = await issue(c.env, id);
		const created = unwrap(
			await stub(c.env, id).createKey(
				newKeyOf(c.req.valid("json"), secretHash),
			),
		);
		return c.json({ ...keyWire(created.key), key }, 201, NOT_STORED);
	},
);

admin.openapi(
	createRoute({
		method: "get",
		path: "/accounts/{id}/keys",
		operationId: "listKeysOf",
		summary: "The account's keys, without their secrets",
		security,
		middleware: authenticateOperator,
		request: { params: AccountParams },
		responses: {
			200: { description: "The keys, oldest first", content: json(KeyList) },
			...problems("invalid_admin_secret", "account_not_found"),
		},
	}),
	async (c) => {
		const { id } = c.req.valid("param");
		const { keys } = unwrap(await stub(c.env, id).keys());
		return c.json({ data: keys.map(keyWire), next_cursor: null }, 200);
	},
);

admin.openapi(
	createRoute({
		method: "delete",
		path: "/accounts/{id}/keys/{key_id}",
		operationId: "revokeKeyOf",
		summary: "Revoke a key; it is refused from the next call on",
		security,
		middleware: authenticateOperator,
		request: { params: KeyParams },
		responses: {
			200: { description: "The revoked key", content: json(Key) },
			...problems(
				429,
				"invalid_admin_secret",
				"account_not_found",
				"key_not_found",
			),
		},
	}),
	async (c) => {
		const { id, key_id } = c.req.valid("param");
		const revoked = unwrap(await stub(c.env, id).revokeKey(key_id));
		return c.json(keyWire(revoked.key), 200);
	},
);

admin.openapi(
	createRoute({
		method: "post",
		path: "/accounts/{id}/unfreeze",
		operationId: "unfreezeAccount",
		summary: "Let an account have jobs again that an audit froze",
		description:
			"What the audit found counts as seen, and the ledger so far as right: the audit goes on " +
			"from its newest entry. Repeating it changes nothing.",
		security,
		middleware: authenticateOperator,
		request: { params: AccountParams },
		responses: {
			200: {
				description: "The account after it",
				content: json(AuditedAccount),
			},
			...problems(429, "invalid_admin_secret", "account_not_found"),
		},
	}),
	async (c) => {
		const { id } = c.req.valid("param");
		const changed = unwrap(await stub(c.env, id).unfreeze());
		return c.json(auditedWire(changed.account), 200);
	},
);

const SUSPENSION = [
	{
		act: "suspend",
		verb: "Suspend",
		description:
			"Calls are refused from the next one on. Jobs that were admitted go on and are paid for.",
	},
	{
		act: "resume",
		verb: "Resume",
		description: "Lifts the suspension. Repeating it changes nothing.",
	},
] as const;

for (const { act, verb, description } of SUSPENSION) {
	admin.openapi(
		createRoute({
			method: "post",
			path: `/accounts/{id}/${act}`,
			operationId: `${act}Account`,
			summary: `${verb} an account`,
			description,
			security,
			middleware: authenticateOperator,
			request: { params: AccountParams },
			responses: {
				200: {
					description: "The account after it",
					content: json(AuditedAccount),
				},
				...problems(429, "invalid_admin_secret", "account_not_found"),
			},
		}),
		async (c) => {
			const { id } = c.req.valid("param");
			const changed = unwrap(await stub(c.env, id).suspend(act === "suspend"));
			return c.json(auditedWire(changed.account), 200);
		},
	);

	admin.openapi(
		createRoute({
			method: "post",
			path: `/accounts/{id}/keys/{key_id}/${act}`,
			operationId: `${act}KeyOf`,
			summary: `${verb} a key`,
			description,
			security,
			middleware: authenticateOperator,
			request: { params: KeyParams },
			responses: {
				200: { description: "The key after it", content: json(Key) },
				...problems(
					429,
					"invalid_admin_secret",
					"account_not_found",
					"key_not_found",
				),
			},
		}),
		async (c) => {
			const { id, key_id } = c.req.valid("param");
			const changed = unwrap(
				await stub(c.env, id).suspendKey(key_id, act === "suspend"),
			);
			return c.json(keyWire(changed.key), 200);
		},
	);
}

const auditedWire = (view: AuditedView): z.infer<typeof AuditedAccount> => ({
	...accountWire(view),
	closed_at: view.closedAt,
	audit: {
		checked_at:
			view.audit.at === null ? null : new Date(view.audit.at).toISOString(),
		last_seq: view.audit.seq,
		mismatch: view.audit.mismatch,
	},
});

const entryWire = (
	entry: DirectoryEntry,
): z.infer<typeof AccountList>["data"][number] => ({
	id: entry.id,
	name: entry.name,
	created_at: new Date(entry.createdAt).toISOString(),
	person: entry.person,
});

/** @throws ApiError `account_not_found` for an invalid account id, which calls no Durable Object */
function stub(env: Env, id: string): DurableObjectStub<Account> {
	if (!isAccountId(id)) throw new ApiError({ code: "account_not_found" });
	return accountOf(env, id);
}
