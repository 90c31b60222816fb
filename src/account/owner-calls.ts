/**
 * The calls to an Account about what is its owner's alone: money and keys. Keys that are bound to
 * pages make none of them.
 */
import type {
	AccountView,
	CallerResult,
	Credential,
} from "../contract/account.ts";
import type { AutoTopUpRule, AutoTopUpView } from "../contract/auto-top-up.ts";
import type { KeyChange, KeyView, NewKey, Rotation } from "../contract/key.ts";
import type { Statement, StatementPage } from "../contract/ledger.ts";
import type { UsageQuery, UsageRow } from "../contract/usage.ts";
import { failed } from "../errors.ts";
import { autoTopUpView } from "./auto-top-up.ts";
import { autoTopUpOf } from "./auto-top-up-rows.ts";
import { checkClosable } from "./closing.ts";
import { accountView } from "./identity.ts";
import {
	changeKey,
	createKey,
	dropKey,
	findKey,
	listKeys,
	rotateKey,
} from "./keys.ts";
import { OperatorCalls } from "./operator-calls.ts";
import { pageStatement } from "./statement.ts";
import { usageOf } from "./usage-rows.ts";

export class OwnerCalls extends OperatorCalls {
	async showTo(
		credential: Credential,
	): Promise<CallerResult<{ account: AccountView }>> {
		return this.core.asOwner(credential, ({ identity }) => ({
			ok: true,
			account: accountView(this.core.sql, identity),
		}));
	}

	/** The ledger, newest first. */
	async statement(
		credential: Credential,
		page: StatementPage,
	): Promise<CallerResult<Statement>> {
		return this.core.asOwner(credential, () =>
			pageStatement(this.core.sql, page),
		);
	}

	/** What the account used. */
	async usage(
		credential: Credential,
		query: UsageQuery,
	): Promise<CallerResult<{ rows: UsageRow[] }>> {
		return this.core.asOwner(credential, () => usageOf(this.core.sql, query));
	}

	/**
	 * Closes the account for good: its ledger is all that is left.
	 * @param confirm the account's id, as the caller wrote it
	 */
	async closeAccount(
		credential: Credential,
		confirm: string,
	): Promise<CallerResult<object>> {
		return this.core.asOwner(credential, ({ identity }) => {
			const closable = checkClosable(this.core.sql, identity, confirm);
			if (closable.ok) this.core.close();
			return closable;
		});
	}

	/** When a saved card is charged, and what it was charged. */
	async autoTopUp(
		credential: Credential,
	): Promise<CallerResult<{ autoTopUp: AutoTopUpView }>> {
		return this.core.asOwner(credential, ({ identity }) => ({
			ok: true,
			autoTopUp: autoTopUpView(autoTopUpOf(identity), this.clock()),
		}));
	}

	/** Lets a saved card be charged by this rule, or no more. */
	async ruleAutoTopUp(
		credential: Credential,
		rule: AutoTopUpRule | null,
	): Promise<CallerResult<{ autoTopUp: AutoTopUpView }>> {
		return this.core.asOwner(credential, ({ identity }) => {
			if (rule && autoTopUpOf(identity).customer === null)
				return failed({ code: "no_saved_card" });
			this.core.moveAutoTopUp({ type: "ruled", rule });
			this.core.checkBalance();
			const state = autoTopUpOf(this.core.identity);
			return { ok: true, autoTopUp: autoTopUpView(state, this.clock()) };
		});
	}

	async keysOf(
		credential: Credential,
	): Promise<CallerResult<{ keys: KeyView[] }>> {
		return this.core.asOwner(credential, ({ keyId }) => ({
			ok: true,
			keys: listKeys(this.core.sql, this.clock(), keyId),
		}));
	}

	async key(
		credential: Credential,
		id: string,
	): Promise<CallerResult<{ key: KeyView }>> {
		return this.core.asOwner(credential, ({ keyId }) =>
			findKey(this.core.sql, id, this.clock(), keyId),
		);
	}

	/** Makes a key. An owner may have `MAX_KEYS` live ones. */
	async addKey(
		credential: Credential,
		key: NewKey,
	): Promise<CallerResult<{ key: KeyView }>> {
		return this.core.asOwner(credential, (maker) =>
			this.core.write((sql, now) => createKey(sql, maker, key, now)),
		);
	}

	/** Changes what a key may do: see `changeKey`. */
	async changeKey(
		credential: Credential,
		id: string,
		wanted: KeyChange,
	): Promise<CallerResult<{ key: KeyView }>> {
		return this.core.asOwner(credential, (holder) =>
			this.core.write((sql, now) => changeKey(sql, holder, id, wanted, now)),
		);
	}

	/** Gives a key a new secret. */
	async rotateKey(
		credential: Credential,
		id: string,
		rotation: Rotation,
	): Promise<CallerResult<{ key: KeyView; isRepeat: boolean }>> {
		return this.core.asOwner(credential, (maker) =>
			this.core.write((sql, now) => rotateKey(sql, maker, id, rotation, now)),
		);
	}

	/** Revokes a key, unless no other is left that can make keys. */
	async dropKey(
		credential: Credential,
		id: string,
	): Promise<CallerResult<{ key: KeyView }>> {
		return this.core.asOwner(credential, (holder) =>
			this.core.write((sql, now) => dropKey(sql, holder, id, now)),
		);
	}
}
