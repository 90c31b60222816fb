/**
 * One object per deployment: which accounts there are, and whose they are. Operators search it, and
 * a sign-in asks it; no call of the API does.
 *
 * Runs in the Directory.
 */
import { DurableObject } from "cloudflare:workers";
import type {
	DirectoryEntry,
	DirectoryPage,
	DirectoryQuery,
	Person,
} from "../contract/directory.ts";
import { ObjectStorage } from "../durable/storage.ts";
import { failed, type Result } from "../errors.ts";
import { entryOf, findPerson, insertEntry, pageEntries } from "./entries.ts";
import { addLink, useLink } from "./links.ts";
import { STEPS } from "./schema.ts";

export class Directory extends DurableObject<Env> {
	/** Milliseconds since 1970; tests move it. */
	clock = (): number => Date.now();
	readonly #storage: ObjectStorage;

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
			const entry = { ...fresh, createdAt: this.clock(), person };
			insertEntry(sql, entry);
			return entry;
		});
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
