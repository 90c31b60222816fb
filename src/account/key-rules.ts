/**
 * What a key may do, as pure decisions of (key, call, now). A call meets them in this order, and
 * the first that fails gives the code: what the key is (`revoked_key`, `key_expired`), where the
 * call comes from (`origin_not_allowed`, `ip_not_allowed`), whether operators let it in
 * (`key_suspended`, `account_suspended`), what it asks for (`bound_key`, `origin_required`,
 * `scope_missing`). Only who has the secret gets here: any other caller is told `invalid_key`.
 */
import type { Credential } from "../contract/account.ts";
import type { KeyChange, KeyLimits, Rotation } from "../contract/key.ts";
import { failed, type Result } from "../errors.ts";
import { isInRange } from "../ip.ts";
import { defaultScopes, PAGE_SCOPES, SCOPES, type Scope } from "../scopes.ts";

/** The most secrets of a key that work at once. */
export const MAX_SECRETS = 10;

/** A key as decisions see it. Times are milliseconds since 1970; null is never. */
export interface KeyState extends KeyLimits {
	revokedAt: number | null;
	suspendedAt: number | null;
}

/** The key of a call, by the secret that the call carries. */
export interface UsedKey extends KeyState {
	/** When a rotation's grace ends this secret. */
	secretExpiresAt: number | null;
}

/** What a call is about: all of the account, or only what a key that is bound to pages made. */
export type Reach = "own" | "account";

const OK = { ok: true } as const;

/** Whether this caller may use the key at all. */
export function checkHolder(
	key: UsedKey,
	call: Pick<Credential, "origin" | "ip">,
	account: { suspendedAt: number | null },
	now: number,
): Result<object> {
	if (key.revokedAt !== null) return failed({ code: "revoked_key" });
	const expiry = Math.min(
		key.expiresAt ?? Number.POSITIVE_INFINITY,
		key.secretExpiresAt ?? Number.POSITIVE_INFINITY,
	);
	if (expiry <= now)
		return failed({
			code: "key_expired",
			expired_at: new Date(expiry).toISOString(),
		});
	const { origin, ip } = call;
	if (key.origins && origin !== null && !key.origins.includes(origin))
		return failed({ code: "origin_not_allowed", origin: origin.slice(0, 256) });
	if (
		key.ipRanges &&
		!(ip !== null && key.ipRanges.some((range) => isInRange(ip, range)))
	)
		return failed({ code: "ip_not_allowed", ip: ip?.slice(0, 64) ?? null });
	if (key.suspendedAt !== null) return failed({ code: "key_suspended" });
	if (account.suspendedAt !== null)
		return failed({ code: "account_suspended" });
	return OK;
}

/** Whether the key may do what the call asks for. */
export function checkPermission(
	key: KeyState,
	{ origin, scope }: Pick<Credential, "origin" | "scope">,
	reach: Reach,
): Result<object> {
	if (key.origins !== null) {
		// A key that is bound to pages is public: one that it made, say, would outlive its revocation.
		if (reach === "account") return failed({ code: "bound_key" });
		if (origin === null) return failed({ code: "origin_required" });
	}
	return checkScope(key, scope);
}

/** @param field the request's field that needs the scope, where the call as such needs another */
export function checkScope(
	{ scopes }: Pick<KeyState, "scopes">,
	scope: Scope,
	field?: string,
): Result<object> {
	return scopes.includes(scope)
		? OK
		: failed({
				code: "scope_missing",
				...(field !== undefined && { field }),
				scope,
				scopes: [...scopes],
			});
}

/** Whether a key ended: by revocation or by its expiry. */
export const endedAt = (
	{ revokedAt, expiresAt }: Pick<KeyState, "revokedAt" | "expiresAt">,
	now: number,
): number | null =>
	revokedAt ?? (expiresAt !== null && expiresAt <= now ? expiresAt : null);

/** Whether a key can make others, so that the account is not locked while it lives. */
export const isAdmin = (key: KeyState, now: number): boolean =>
	endedAt(key, now) === null &&
	key.suspendedAt === null &&
	key.origins === null &&
	key.scopes.includes("keys:admin");

/**
 * The limits of a new key. No key gives a scope that it lacks itself.
 * @param maker the key that makes it; null for operators, whose first key of an account can do all
 */
export function grant(
	wanted: Partial<KeyLimits>,
	maker: Pick<KeyState, "scopes"> | null,
	now: number,
): Result<{ limits: KeyLimits }> {
	const { origins = null, ipRanges = null, expiresAt = null } = wanted;
	const { spendLimits = null } = wanted;
	if (expiresAt !== null && expiresAt <= now) return EXPIRY_PAST;
	const allowed = maker?.scopes ?? SCOPES;
	for (const scope of wanted.scopes ?? []) {
		const held = checkScope({ scopes: allowed }, scope, "scopes");
		if (!held.ok) return held;
	}
	const usual =
		maker || origins !== null ? defaultScopes(origins !== null) : SCOPES;
	const scopes =
		wanted.scopes ?? usual.filter((scope) => allowed.includes(scope));
	if (scopes.length === 0)
		return failed({
			code: "invalid_request",
			field: "scopes",
			detail:
				"`scopes` is missing, and the key that you use has none that a new key gets by default. " +
				`Name those that it shall have: ${allowed.join(", ")}.`,
		});
	if (origins !== null && scopes.some((scope) => !PAGE_SCOPES.includes(scope)))
		throw new Error("a key for pages has a scope of others");
	const limits = { scopes, origins, ipRanges, expiresAt, spendLimits };
	return { ok: true, limits };
}

const EXPIRY_PAST = failed({
	code: "invalid_request",
	field: "expires_at",
	detail: "`expires_at` is past. Choose a time to come.",
});

/**
 * The limits of a key after a change. Who changes it must be able to do all that it can, before and
 * after; and a key for pages stays one, since visitors may have read it.
 */
export function change(
	key: KeyState,
	wanted: KeyChange,
	maker: Pick<KeyState, "scopes">,
	now: number,
): Result<{ limits: KeyLimits }> {
	if (endedAt(key, now) !== null) return failed({ code: "key_ended" });
	for (const scope of key.scopes) {
		const held = checkScope(maker, scope, "id");
		if (!held.ok) return held;
	}
	const {
		scopes = key.scopes,
		origins = key.origins,
		ipRanges = key.ipRanges,
		expiresAt = key.expiresAt,
		spendLimits = key.spendLimits,
	} = wanted;
	for (const scope of scopes) {
		const held = checkScope(maker, scope, "scopes");
		if (!held.ok) return held;
	}
	if ((origins === null) !== (key.origins === null))
		return failed({
			code: "invalid_request",
			field: "origins",
			detail:
				"A key is for web pages or for servers from its creation on: `origins` can be replaced, " +
				"and neither set nor removed. Create another key: POST /v1/keys.",
		});
	const beyond =
		origins && scopes.find((scope) => !PAGE_SCOPES.includes(scope));
	if (beyond)
		return failed({
			code: "invalid_request",
			field: "scopes",
			detail:
				`\`scopes\` has \`${beyond}\`, which a key with \`origins\` cannot have: leave it ` +
				"out.",
		});
	if (wanted.expiresAt !== undefined && expiresAt !== null && expiresAt <= now)
		return EXPIRY_PAST;
	const limits = { scopes, origins, ipRanges, expiresAt, spendLimits };
	return { ok: true, limits };
}

/** A secret of the key that is to be rotated. */
export interface KnownSecret {
	/** When a rotation's grace ends it; null for the newest. */
	expiresAt: number | null;
	/** The rotation that made it. */
	name: string | null;
	grace: number | null;
}

/**
 * Whether a key gets a new secret, or `repeat` where this rotation happened before. The maker of a
 * secret can do all that the key can, so it must be able to do that itself.
 */
export function checkRotation(
	key: KeyState,
	secrets: readonly KnownSecret[],
	maker: Pick<KeyState, "scopes">,
	{ grace, name }: Pick<Rotation, "grace" | "name">,
	now: number,
): Result<{ answer: "new" | "repeat" }> {
	if (endedAt(key, now) !== null) return failed({ code: "key_ended" });
	for (const scope of key.scopes) {
		const held = checkScope(maker, scope, "id");
		if (!held.ok) return held;
	}
	const before =
		name === null ? undefined : secrets.find((each) => each.name === name);
	if (before)
		return before.grace === grace
			? { ok: true, answer: "repeat" }
			: failed({ code: "idempotency_conflict" });
	const kept = secrets.filter(
		({ expiresAt }) => grace > 0 && (expiresAt === null || expiresAt > now),
	);
	return kept.length < MAX_SECRETS
		? { ok: true, answer: "new" }
		: failed({ code: "too_many_secrets", limit: MAX_SECRETS });
}
