/**
 * What every call of an Account stands on: its storage, its alarm, who calls, and the readers of
 * its feed.
 */
import type { CallerResult, Credential } from "../contract/account.ts";
import type { PaymentEvent } from "../contract/payment.ts";
import { Alarm } from "../durable/alarm.ts";
import { ObjectStorage } from "../durable/storage.ts";
import type { Result } from "../errors.ts";
import { logLine } from "../log.ts";
import { measure } from "../metrics/measure.ts";
import { Access, type AuthenticatedCall, type RateUse } from "./access.ts";
import type { Room } from "./admission.ts";
import { type AutoTopUp, type AutoTopUpEvent, advance } from "./auto-top-up.ts";
import { autoTopUpOf, moveAutoTopUp } from "./auto-top-up-rows.ts";
import { close } from "./closing.ts";
import { earliestDue } from "./due.ts";
import { runDueTasks, type TaskContext } from "./due-tasks.ts";
import { FeedSockets } from "./feed-sockets.ts";
import {
	createIdentity,
	type Identity,
	identityOf,
	suspend,
	unfreeze,
} from "./identity.ts";
import { balances } from "./ledger-rows.ts";
import { collectOwed, notePayment } from "./payment-rows.ts";
import { STEPS } from "./schema.ts";
import { spendOf } from "./spend-rows.ts";

export class AccountCore {
	readonly sql: SqlStorage;
	readonly #ctx: DurableObjectState;
	readonly #env: () => Env;
	readonly #clock: () => number;
	readonly #storage: ObjectStorage;
	readonly #alarm: Alarm;
	readonly #access: Access;
	readonly #feed: FeedSockets;
	/** Null where no account has this id. */
	#identity: Identity | null;

	/** @param env as the object has it: tests replace it */
	constructor(ctx: DurableObjectState, env: () => Env, clock: () => number) {
		this.#ctx = ctx;
		this.#env = env;
		this.#clock = clock;
		this.#storage = new ObjectStorage(ctx, {
			object: "account",
			steps: STEPS,
			// Each call decides from SQL, whose constraints make the last check of the money.
			resetOnFailure: false,
			afterWrite: () => {
				this.#arm();
				if (this.exists) this.#feed.publish();
			},
		});
		this.sql = this.#storage.sql;
		this.#alarm = new Alarm(ctx.storage, clock);
		this.#access = new Access(this.sql, env, clock);
		this.#identity = this.#storage.exists ? identityOf(this.sql) : null;
		this.#feed = new FeedSockets(ctx, this.exists);
		if (this.exists)
			ctx.blockConcurrencyWhile(async () => {
				await this.#alarm.load();
				this.#arm();
			});
	}

	get exists(): boolean {
		return this.#identity !== null;
	}

	/** @throws Error where there is no account */
	get identity(): Identity {
		if (!this.#identity) throw new Error("there is no such account");
		return this.#identity;
	}

	/** Null where there is no account. */
	get feed(): FeedSockets | null {
		this.#alarm.renew();
		return this.exists ? this.#feed : null;
	}

	create(account: { id: string; name: string }): void {
		this.#alarm.renew();
		this.#identity ??= this.#storage.create(() =>
			createIdentity(this.sql, account, this.#clock()),
		);
	}

	/** Suspends the account, or lets it in again. @throws Error where there is none */
	suspend(isSuspended: boolean): Identity {
		this.#identity = this.write((sql, now) => suspend(sql, isSuspended, now));
		return this.#identity;
	}

	/** Lets the account have jobs again that an audit froze. @throws Error where there is none */
	unfreeze(): Identity {
		this.write(unfreeze);
		this.#identity = identityOf(this.sql);
		return this.#identity;
	}

	/** Closes the account for good. @throws Error where there is none */
	close(): void {
		this.write(close);
		this.#identity = identityOf(this.sql);
	}

	/** Notes what is told of a payment. @throws Error where there is no account */
	notePayment(id: string, event: PaymentEvent): void {
		this.write((sql, now) => notePayment(sql, id, event, now));
		this.#identity = identityOf(this.sql);
	}

	/** Takes what is owed of what is available. @throws Error where there is no account */
	collectOwed(): void {
		if (this.identity.owed === 0) return;
		this.write(collectOwed);
		this.#identity = identityOf(this.sql);
	}

	/** @throws Error where there is no account */
	moveAutoTopUp(event: AutoTopUpEvent): AutoTopUp {
		const state = this.write((sql, now) => moveAutoTopUp(sql, event, now));
		this.#identity = identityOf(this.sql);
		return state;
	}

	/** Charges the saved card where too little is available and the account's rule says so. */
	checkBalance(): void {
		if (!this.#identity?.auto_top_up) return;
		const before = autoTopUpOf(this.#identity);
		const event = {
			type: "balance",
			available: balances(this.sql).available,
		} as const;
		if (advance(before, event, this.#clock()) !== before)
			this.moveAutoTopUp(event);
	}

	/** Writes in one transaction. @throws Error where there is no account */
	write<T>(change: (sql: SqlStorage, now: number) => T): T {
		this.#alarm.renew();
		if (!this.exists) throw new Error("there is no such account");
		return this.#storage.write(() => change(this.sql, this.#clock()));
	}

	/** A write that may end in a `Rollback`: see `ObjectStorage`. */
	writeOrRollBack<T extends object>(
		change: (sql: SqlStorage, now: number) => T,
	): Result<T> {
		return this.#storage.writeOrRollBack(() => change(this.sql, this.#clock()));
	}

	/** What is left for one more job of this caller, beside the money. */
	room({ identity, keyId, spendLimits }: AuthenticatedCall): Room {
		return {
			key: keyId,
			...this.#access.room(),
			isFrozen: identity.frozen_at !== null,
			owed: identity.owed,
			spend:
				spendLimits && spendOf(this.sql, keyId, spendLimits, this.#clock()),
		};
	}

	/** Counts a job's tokens against the limit of a minute: see `AccountLimits`. */
	takeTokens(job: string, most: number): void {
		this.#access.takeTokens(job, most);
	}

	returnTokens(job: string, used: number): void {
		this.#access.returnTokens(job, used);
	}

	asOperator<T extends object>(
		act: (identity: Identity) => Result<T>,
	): Result<T> {
		this.#alarm.renew();
		return this.#access.asOperator(this.#identity, act);
	}

	/** See `Access`. */
	asCaller<T extends object>(
		credential: Credential,
		act: (call: AuthenticatedCall) => Result<T>,
		rate?: RateUse,
	): CallerResult<T> {
		this.#alarm.renew();
		return this.#access.asCaller(this.#identity, credential, act, rate);
	}

	/** See `Access`. */
	asOwner<T extends object>(
		credential: Credential,
		act: (call: AuthenticatedCall) => Result<T>,
	): CallerResult<T> {
		this.#alarm.renew();
		return this.#access.asOwner(this.#identity, credential, act);
	}

	/** Runs what is due, then sets the alarm for what is due next. */
	async onAlarm(): Promise<void> {
		this.#alarm.onFired();
		try {
			if (this.exists) await runDueTasks(this.taskContext());
		} catch (error) {
			logLine("alarm_failed", { object: "account", cause: String(error) });
		} finally {
			this.#arm();
		}
	}

	taskContext(): TaskContext {
		return {
			env: this.#env(),
			store: this.#storage,
			account: this.identity.id,
			clock: this.#clock,
			onIdentityChanged: () => {
				this.#identity = identityOf(this.sql);
			},
			measure: (measured) => measure(this.#env(), this.#ctx, measured),
		};
	}

	/**
	 * Sets the alarm to the earliest due time. One that fires too early finds nothing due, which
	 * costs less than moving it at each settlement.
	 */
	#arm(): void {
		if (!this.exists) return;
		const next = earliestDue(this.sql);
		if (next !== null) this.#alarm.bringForward(next);
	}
}
