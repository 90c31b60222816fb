/**
 * Who calls an account, and how often they may: every method of the Account that the Worker calls
 * begins here.
 *
 * Runs in the Account object, as all of account/ does.
 */
import type { CallerResult, Credential, Limits } from "../contract/account.ts";
import { config } from "../env.ts";
import { failed, type Result } from "../errors.ts";
import type { Identity } from "./identity.ts";
import { type CallingKey, verifyKey } from "./keys.ts";
import { AccountLimits } from "./limits.ts";

/** An authenticated call. */
export interface AuthenticatedCall extends CallingKey {
	identity: Identity;
}

/**
 * Whether a call counts against the rate. A call that can only follow another one of the same
 * request does not.
 */
export type RateUse = "counts" | "follows";

export class Access {
	readonly #sql: SqlStorage;
	readonly #env: () => Env;
	readonly #clock: () => number;
	readonly #limits: AccountLimits;

	constructor(sql: SqlStorage, env: () => Env, clock: () => number) {
		this.#sql = sql;
		this.#env = env;
		this.#clock = clock;
		this.#limits = new AccountLimits(sql);
	}

	/** Jobs that may still be admitted. */
	jobs(): Limits["jobs"] {
		return this.#limits.jobs(config(this.#env()));
	}

	asOperator<T extends object>(
		identity: Identity | null,
		act: (identity: Identity) => Result<T>,
	): Result<T> {
		return identity ? act(identity) : failed({ code: "account_not_found" });
	}

	/**
	 * For any key. A key that is bound to pages sees what it made itself, and works on its pages
	 * only.
	 */
	asCaller<T extends object>(
		identity: Identity | null,
		credential: Credential,
		act: (call: AuthenticatedCall) => Result<T>,
		rate: RateUse = "counts",
	): CallerResult<T> {
		return this.#withKey(identity, credential, rate, (call) =>
			call.pageless ? failed({ code: "origin_required" }) : act(call),
		);
	}

	/**
	 * For keys that see all of the account. A key that is bound to pages is public and does not: a
	 * key that it made, for one, would outlive its own revocation.
	 */
	asOwner<T extends object>(
		identity: Identity | null,
		credential: Credential,
		act: (call: AuthenticatedCall) => Result<T>,
	): CallerResult<T> {
		return this.#withKey(identity, credential, "counts", (call) =>
			call.onlyMadeBy === null ? act(call) : failed({ code: "bound_key" }),
		);
	}

	/** Verifies the key, counts the call, and adds the limits to the answer. */
	#withKey<T extends object>(
		identity: Identity | null,
		credential: Credential,
		rate: RateUse,
		act: (call: AuthenticatedCall) => Result<T>,
	): CallerResult<T> {
		if (!identity) return failed({ code: "invalid_key" });
		const key = verifyKey(this.#sql, credential);
		if (!key.ok) return key;
		const quotas = config(this.#env());
		const now = this.#clock();
		const counted: Result<object> =
			rate === "counts" ? this.#limits.countRequest(quotas, now) : { ok: true };
		const result = counted.ok ? act({ ...key, identity }) : counted;
		return { ...result, limits: this.#limits.all(quotas, now) };
	}
}
