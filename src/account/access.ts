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
import { checkHolder, checkPermission, type Reach } from "./key-rules.ts";
import { type CallingKey, findCallingKey, noteUse } from "./keys.ts";
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

	/** What new jobs may still take. */
	room(): Pick<Limits, "jobs" | "tokens"> {
		const quotas = config(this.#env());
		return {
			jobs: this.#limits.jobs(quotas),
			tokens: this.#limits.tokens(quotas, this.#clock()),
		};
	}

	/** See `AccountLimits`. */
	takeTokens(job: string, most: number): void {
		this.#limits.takeTokens(config(this.#env()), job, most, this.#clock());
	}

	/** See `AccountLimits`. */
	returnTokens(job: string, used: number): void {
		this.#limits.returnTokens(config(this.#env()), job, used, this.#clock());
	}

	asOperator<T extends object>(
		identity: Identity | null,
		act: (identity: Identity) => Result<T>,
	): Result<T> {
		return identity ? act(identity) : failed({ code: "account_not_found" });
	}

	/** For any key. A key that is bound to pages sees what it made itself. */
	asCaller<T extends object>(
		identity: Identity | null,
		credential: Credential,
		act: (call: AuthenticatedCall) => Result<T>,
		rate: RateUse = "counts",
	): CallerResult<T> {
		return this.#withKey(identity, credential, "own", rate, act);
	}

	/** For keys that see all of the account: those that are not bound to pages. */
	asOwner<T extends object>(
		identity: Identity | null,
		credential: Credential,
		act: (call: AuthenticatedCall) => Result<T>,
	): CallerResult<T> {
		return this.#withKey(identity, credential, "account", "counts", act);
	}

	/**
	 * Checks the key, counts the call, and adds the limits to the answer. Whoever may not use the key
	 * is not counted; who asks for what the key may not do, is.
	 */
	#withKey<T extends object>(
		identity: Identity | null,
		credential: Credential,
		reach: Reach,
		rate: RateUse,
		act: (call: AuthenticatedCall) => Result<T>,
	): CallerResult<T> {
		const { secretHash } = credential;
		const found = identity && findCallingKey(this.#sql, secretHash);
		if (!found) return failed({ code: "invalid_key" });
		const { key, used, usedMinute } = found;
		const now = this.#clock();
		const account = { suspendedAt: identity.suspended_at };
		const holder = checkHolder(used, credential, account, now);
		if (!holder.ok) return holder;
		const quotas = config(this.#env());
		const counted: Result<object> =
			rate === "counts" ? this.#limits.countRequest(quotas, now) : { ok: true };
		const permitted = counted.ok
			? checkPermission(used, credential, reach)
			: counted;
		if (permitted.ok) noteUse(this.#sql, secretHash, usedMinute, now);
		const result = permitted.ok ? act({ ...key, identity }) : permitted;
		return { ...result, limits: this.#limits.all(quotas, now) };
	}
}
