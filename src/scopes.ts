/** What an API key may do. Each route that takes a key names the one scope that it needs. */

export const SCOPES = [
	"jobs:write",
	"jobs:read",
	"uploads:write",
	"billing:read",
	"keys:admin",
	"webhooks:admin",
] as const;

export type Scope = (typeof SCOPES)[number];

/** What each scope opens, for the documentation. */
export const ABOUT_SCOPES: Record<Scope, string> = {
	"jobs:write":
		"create, cancel and delete jobs, chat completions among them, and quote them",
	"jobs:read": "read jobs, uploads and the account's events",
	"uploads:write": "create and delete uploads",
	"billing:read": "read the balance and the ledger",
	"keys:admin": "list, create, change, rotate and revoke keys",
	"webhooks:admin": "all about webhooks, their secrets included",
};

/** All that a key with `origins` may have: visitors of a page can read it. */
export const PAGE_SCOPES: readonly Scope[] = [
	"jobs:write",
	"jobs:read",
	"uploads:write",
];

/**
 * The scopes of a new key whose request names none. `keys:admin` has to be asked for: a key that
 * has it can make others, which outlive it.
 */
export const defaultScopes = (isForPages: boolean): readonly Scope[] =>
	isForPages ? PAGE_SCOPES : SCOPES.filter((scope) => scope !== "keys:admin");
