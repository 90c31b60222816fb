/** API keys, as the Account and the Worker tell each other of them. */
import type { Scope } from "../scopes.ts";

/** What a key may do, for how long, and from where. */
export interface KeyLimits {
	scopes: readonly Scope[];
	/** The origins whose pages may use the key, as browsers write them; null is any. */
	origins: readonly string[] | null;
	/** The addresses that may use the key, in CIDR notation; null is any. */
	ipRanges: readonly string[] | null;
	/** Milliseconds since 1970; null is never. */
	expiresAt: number | null;
	/** Null is no limit but the account's balance. */
	spendLimits: SpendLimits | null;
}

/** Micro-USD that a key may spend in a day and a month of UTC, and in all; null is any. */
export interface SpendLimits {
	day: number | null;
	month: number | null;
	total: number | null;
}

/** What a key has spent since it first had limits, and what its jobs hold. Micro-USD. */
export interface KeySpend {
	day: number;
	month: number;
	total: number;
	held: number;
	/** Milliseconds since 1970. */
	since: number;
}

/** An API key without its secrets. Times are milliseconds since 1970. */
export interface KeyView extends KeyLimits {
	id: string;
	name: string;
	createdAt: number;
	revokedAt: number | null;
	suspendedAt: number | null;
	/** The minute of the last call. */
	lastUsedAt: number | null;
	/** Null where it has no limits. */
	spend: KeySpend | null;
	/** Those that work, newest first: several while a rotation's grace lasts. */
	secrets: SecretView[];
	/** Whether this call uses the key. */
	current: boolean;
}

export interface SecretView {
	createdAt: number;
	/** When the grace ends; null for the newest. */
	expiresAt: number | null;
	lastUsedAt: number | null;
}

/** A key to be made. What is left out is any; see `defaultScopes` for its scopes. */
export interface NewKey extends Partial<KeyLimits> {
	name: string;
	secretHash: string;
}

/** A change of a key. What is left out stays. */
export interface KeyChange extends Partial<KeyLimits> {
	name?: string;
}

/** A new secret for a key. */
export interface Rotation {
	secretHash: string;
	/** Seconds for which the secrets before it go on to work. */
	grace: number;
	/** SHA-256 of the caller's name for this rotation, hex, under which it happens once. */
	name: string | null;
}
