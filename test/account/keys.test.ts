import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { createKeyTable, limitKeys } from "../../src/account/key-rows.ts";
import { findCallingKey, listKeys } from "../../src/account/keys.ts";
import { STEPS } from "../../src/account/schema.ts";
import { unwrap } from "../../src/errors.ts";
import { PAGE_SCOPES, SCOPES } from "../../src/scopes.ts";
import { accountStub, credentialOf, newAccount } from "../support/account.ts";

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
			sql.exec("ALTER TABLE key ADD COLUMN spend_limits TEXT");
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

describe("an account of the version before scopes", () => {
	it("opens with its keys, and can be suspended", async () => {
		const stub = accountStub("old account");
		const [first] = STEPS;
		await runInDurableObject(stub, (_, { storage: { sql } }) => {
			first?.(sql);
			sql.exec("INSERT INTO account VALUES ('old account', 'old', 1, 'aa')");
			sql.exec("INSERT INTO key VALUES ('key_1', 'k', 'hash', 1, NULL, NULL)");
		});
		await evictDurableObject(stub);
		const call = credentialOf("hash", { scope: "keys:admin" });
		expect(unwrap(await stub.key(call, "key_1")).key).toMatchObject({
			scopes: SCOPES,
			secrets: [{ createdAt: 1, expiresAt: null }],
			current: true,
		});
		unwrap(await stub.suspend(true));
		expect(await stub.key(call, "key_1")).toMatchObject({
			failure: { code: "account_suspended" },
		});
	});
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
