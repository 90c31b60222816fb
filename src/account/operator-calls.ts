/** The calls that operators make to an Account. */
import { DurableObject } from "cloudflare:workers";
import type { AuditedAccount } from "../contract/account.ts";
import type { KeyView, NewKey } from "../contract/key.ts";
import type { PaymentEvent } from "../contract/payment.ts";
import { unwrapOrRollBack } from "../durable/storage.ts";
import { failed, type Result } from "../errors.ts";
import { AccountCore } from "./core.ts";
import { audited } from "./identity.ts";
import { createKey, listKeys, revokeKey, suspendKey } from "./keys.ts";
import { addCredit } from "./ledger-rows.ts";

export class OperatorCalls extends DurableObject<Env> {
	/** Milliseconds since 1970; tests move it. */
	clock = (): number => Date.now();
	protected readonly core = new AccountCore(
		this.ctx,
		() => this.env,
		() => this.clock(),
	);

	/** Makes the account; repeating it changes nothing. */
	async create(account: {
		id: string;
		name: string;
	}): Promise<Result<{ account: AuditedAccount }>> {
		this.core.create(account);
		return this.show();
	}

	async show(): Promise<Result<{ account: AuditedAccount }>> {
		return this.core.asOperator((identity) => ({
			ok: true,
			account: audited(this.core.sql, identity),
		}));
	}

	/** Adds credit once per id. */
	async credit(credit: {
		id: string;
		amount: number;
	}): Promise<Result<{ account: AuditedAccount }>> {
		const credited = this.#ofOpen(() =>
			this.core.writeOrRollBack((sql, now) => {
				unwrapOrRollBack(addCredit(sql, credit, now));
				return {};
			}),
		);
		if (!credited.ok) return credited;
		this.core.collectOwed();
		return this.show();
	}

	/**
	 * Moves the money that an event of a card payment is about. A repeat moves none.
	 * @param id of the payment, unique over all processors
	 */
	async payment(id: string, event: PaymentEvent): Promise<Result<object>> {
		return this.core.asOperator(() => {
			this.core.notePayment(id, event);
			if (event.type === "paid" && event.customer) {
				const { customer } = event;
				this.core.moveAutoTopUp({ type: "card_saved", customer });
			}
			return { ok: true };
		});
	}

	/** Suspends the account, or lets it in again: calls are refused, its jobs go on. */
	async suspend(
		isSuspended: boolean,
	): Promise<Result<{ account: AuditedAccount }>> {
		return this.core.asOperator(() => ({
			ok: true,
			account: audited(this.core.sql, this.core.suspend(isSuspended)),
		}));
	}

	/** Lets the account have jobs again that an audit froze. Repeating it changes nothing. */
	async unfreeze(): Promise<Result<{ account: AuditedAccount }>> {
		return this.core.asOperator((identity) => ({
			ok: true,
			account: audited(
				this.core.sql,
				identity.frozen_at === null ? identity : this.core.unfreeze(),
			),
		}));
	}

	async createKey(key: NewKey): Promise<Result<{ key: KeyView }>> {
		return this.#ofOpen(() =>
			this.core.write((sql, now) => createKey(sql, null, key, now)),
		);
	}

	async revokeKey(id: string): Promise<Result<{ key: KeyView }>> {
		return this.core.asOperator(() =>
			this.core.write((sql, now) => revokeKey(sql, id, now)),
		);
	}

	/** Suspends a key, or lets it in again. */
	async suspendKey(
		id: string,
		isSuspended: boolean,
	): Promise<Result<{ key: KeyView }>> {
		return this.core.asOperator(() =>
			this.core.write((sql, now) => suspendKey(sql, id, isSuspended, now)),
		);
	}

	async keys(): Promise<Result<{ keys: KeyView[] }>> {
		return this.core.asOperator(() => ({
			ok: true,
			keys: listKeys(this.core.sql, this.clock()),
		}));
	}

	/** As `asOperator`, for what an account that was closed gets no more. */
	#ofOpen<T extends object>(act: () => Result<T>): Result<T> {
		return this.core.asOperator(({ closed_at }) =>
			closed_at === null ? act() : failed({ code: "account_closed" }),
		);
	}
}
