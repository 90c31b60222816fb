/**
 * One object per deployment: which accounts there are, and whose they are. Operators search it, and
 * a sign-in asks it; no call of the API does.
 */
import { DurableObject } from "cloudflare:workers";
import type {
	Act,
	ActPage,
	DirectoryEntry,
	DirectoryPage,
	DirectoryQuery,
	Person,
} from "../contract/directory.ts";
import { consume, EMPTY, type Rate } from "../durable/rate-limit.ts";
import { ObjectStorage } from "../durable/storage.ts";
import { failed, type Result } from "../errors.ts";
import { closeAct, insertAct, pageActs } from "./acts.ts";
import {
	entryOf,
	findPerson,
	forgetEntry,
	hasLeft,
	insertEntry,
	pageEntries,
} from "./entries.ts";
import { addLink, useLink } from "./links.ts";
import { insertPayment, payerOf } from "./payments.ts";
import { STEPS } from "./schema.ts";

/** Operators' writes, all together. */
const ACTS: Rate = { quota: 300, windowMs: 60_000 };

export class Directory extends DurableObject<Env> {
	/** Milliseconds since 1970; tests move it. */
	clock = (): number => Date.now();
	readonly #storage: ObjectStorage;
	/** In memory: a limit that starts anew with the object limits well enough. */
	#acts = EMPTY;

	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env);
		this.#storage = new ObjectStorage(ctx, {
			object: "directory",
			steps: STEPS,
			resetOnFailure: false,
		});
		if (!this.#storage.exists) this.#storage.create(() => {});
	}

	/** Lists an account that an operator makes. A repeat changes nothing. */
	async register(account: { id: string; name: string }): Promise<void> {
		this.#storage.write(() =>
			insertEntry(this.#storage.sql, {
				...account,
				createdAt: this.clock(),
				person: null,
				welcome: 0,
			}),
		);
	}

	/**
	 * The account of this person, who has one from the first sign-in on.
	 * @param fresh the account if this is the first
	 */
	async accountOf(
		person: Person,
		fresh: Pick<DirectoryEntry, "id" | "name" | "welcome">,
	): Promise<DirectoryEntry> {
		return this.#storage.write(() => {
			const { sql } = this.#storage;
			const found = findPerson(sql, person);
			if (found) return found;
			const entry = {
				...fresh,
				...(hasLeft(sql, person) && { welcome: 0 }),
				createdAt: this.clock(),
				person,
			};
			insertEntry(sql, entry);
			return entry;
		});
	}

	/** Forgets whose account it is: it was closed. Repeating it changes nothing. */
	async forget(id: string): Promise<void> {
		this.#storage.write(() => forgetEntry(this.#storage.sql, id));
	}

	/**
	 * Notes an act of an operator's that is about to be done.
	 * @returns its number
	 */
	async beginAct(act: Act): Promise<Result<{ seq: number }>> {
		const now = this.clock();
		const { admitted, bucket, waitMs } = consume(this.#acts, ACTS, now);
		if (!admitted)
			return failed({
				code: "rate_limited",
				limit: ACTS.quota,
				retry_after: Math.ceil(waitMs / 1000),
			});
		this.#acts = bucket;
		const { sql } = this.#storage;
		const seq = this.#storage.write(() => insertAct(sql, act, now));
		return { ok: true, seq };
	}

	/**
	 * Notes how an act ended.
	 * @param body what was asked for, as JSON text
	 */
	async endAct(
		seq: number,
		status: number,
		body: string | null,
	): Promise<void> {
		this.#storage.write(() => closeAct(this.#storage.sql, seq, status, body));
	}

	/**
	 * Whose payment it is, noted the first time that somebody names the account.
	 * @returns null where nobody has
	 */
	async payment(id: string, account: string | null): Promise<string | null> {
		const { sql } = this.#storage;
		if (account !== null)
			this.#storage.write(() => insertPayment(sql, id, account));
		return payerOf(sql, id);
	}

	/** What operators did, newest first. */
	async acts(cursor: string | null, limit: number): Promise<ActPage> {
		return pageActs(this.#storage.sql, cursor, limit);
	}

	async search(query: DirectoryQuery): Promise<DirectoryPage> {
		return pageEntries(this.#storage.sql, query);
	}

	/**
	 * Makes a link that signs in once, for an account that is listed.
	 * @param hash SHA-256 of the link's code
	 * @param expiresAt milliseconds since 1970
	 */
	async addLink(
		account: string,
		hash: string,
		expiresAt: number,
	): Promise<Result<object>> {
		const { sql } = this.#storage;
		if (!entryOf(sql, account)) return failed({ code: "account_not_found" });
		this.#storage.write(() =>
			addLink(sql, { account, hash, expiresAt }, this.clock()),
		);
		return { ok: true };
	}

	/** The account that the link signs in to. It does so once. */
	async useLink(hash: string): Promise<Result<{ account: string }>> {
		const account = this.#storage.write(() =>
			useLink(this.#storage.sql, hash, this.clock()),
		);
		return account === null
			? failed({ code: "sign_in_link_used" })
			: { ok: true, account };
	}
}
