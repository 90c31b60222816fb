import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import {
	createKeyTable,
	findCallingKey,
	limitKeys,
	listKeys,
} from "../../src/account/keys.ts";
import { PAGE_SCOPES, SCOPES } from "../../src/scopes.ts";
import { accountStub, newAccount } from "../support/account.ts";

const HOME = "https://app.example.com";

describe("keys of the version before scopes", () => {
	it("keep what they can do, and their secrets", () =>
		runInDurableObject(accountStub("old keys"), (_, { storage: { sql } }) => {
			createKeyTable(sql);
			const insert = (...row: SqlStorageValue[]) =>
				sql.exec("INSERT INTO key VALUES (?, ?, ?, ?, ?, ?)", ...row);
			insert("key_1", "mine", "hash 1", 1, null, null);
			insert("key_2", "page", "hash 2", 2, null, JSON.stringify([HOME]));
			insert("key_3", "gone", "hash 3", 3, 4, null);
			limitKeys(sql);
			const none = { expiresAt: null, suspendedAt: null, lastUsedAt: null };
			expect(listKeys(sql, 9)).toMatchObject([
				{ id: "key_1", scopes: SCOPES, origins: null, ...none },
				{ id: "key_2", scopes: PAGE_SCOPES, origins: [HOME], ...none },
				{ id: "key_3", scopes: SCOPES, revokedAt: 4, ...none },
			]);
			for (const n of [1, 2, 3])
				expect(findCallingKey(sql, `hash ${n}`)?.key.keyId).toBe(`key_${n}`);
			expect(findCallingKey(sql, "hash 4")).toBeNull();
		}));
});

describe("a key at rest", () => {
	it("is the hash of its secret: no row holds the secret itself", async () => {
		const { key, stub, credential } = await newAccount();
		const secret = key.split("_")[3] as string;
		const rows = await runInDurableObject(stub, (_, { storage: { sql } }) =>
			JSON.stringify(
				["key", "secret", "account"].map((table) =>
					sql.exec(`SELECT * FROM ${table}`).toArray(),
				),
			),
		);
		expect(rows).toContain(credential.secretHash);
		expect(rows).not.toContain(secret);
	});
});
