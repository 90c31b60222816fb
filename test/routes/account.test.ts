import { listDurableObjectIds } from "cloudflare:test";

import { describe, expect, it } from "vitest";
import { issueKey, newAccountId } from "../../src/api-key.ts";
import { unwrap } from "../../src/errors.ts";
import {
	accountStub,
	admissionOf,
	bindings,
	newAccount,
} from "../support/account.ts";
import { edge } from "../support/edge.ts";

const get = async (authorization?: string) => {
	const response = await edge.fetch("http://edge.test/v1/account", {
		headers: authorization ? { Authorization: authorization } : {},
	});
	return {
		status: response.status,
		headers: response.headers,
		body: await response.json<Record<string, unknown>>(),
	};
};

describe("GET /v1/account", () => {
	it("shows the caller's own account, what is available and what is held", async () => {
		const account = await newAccount(5000);
		unwrap(await account.stub.admit(admissionOf(account, { maxPrice: 1000 })));
		const { status, body } = await get(`Bearer ${account.key}`);
		expect([status, body]).toEqual([
			200,
			{
				id: account.id,
				object: "account",
				name: "test",
				created_at: expect.stringMatching(/^\d{4}-.*Z$/),
				balance: { available: 4000, held: 1000 },
				suspended_at: null,
				frozen_at: null,
			},
		]);
	});

	it("refuses a call without a key, and says how to send one", async () => {
		for (const authorization of [undefined, "Bearer", "Basic abc"]) {
			const { status, headers, body } = await get(authorization);
			expect([status, body.code]).toEqual([401, "missing_key"]);
			expect(headers.get("WWW-Authenticate")).toBe("Bearer");
		}
	});

	it("refuses a forged or mistyped key without touching any object", async () => {
		const { key, id } = await newAccount();
		const before = await listDurableObjectIds(bindings.ACCOUNT);
		const secret = "another-server-key-another-server-key";
		const forged = [
			(await issueKey(secret, newAccountId())).key,
			(await issueKey(secret, id)).key,
			key.slice(0, -1) + (key.endsWith("0") ? "1" : "0"),
			key.replace(id, newAccountId()),
			key.toUpperCase(),
			"mg_live_",
		];
		for (const each of forged) {
			const { status, body } = await get(`Bearer ${each}`);
			expect([status, body.code]).toEqual([401, "invalid_key"]);
		}
		const after = await listDurableObjectIds(bindings.ACCOUNT);
		expect(after.map(String).sort()).toEqual(before.map(String).sort());
	});

	it("refuses a well-signed key that its account does not know", async () => {
		const [signer] = ["test-key-secret-test-key-secret-00"];
		const { id } = await newAccount();
		for (const account of [id, newAccountId()]) {
			const { key } = await issueKey(signer as string, account);
			const { status, body } = await get(`Bearer ${key}`);
			expect([status, body.code]).toEqual([401, "invalid_key"]);
		}
	});

	it("refuses a revoked key, and another key of the account goes on", async () => {
		const account = await newAccount();
		const second = await issueKey(
			"test-key-secret-test-key-secret-00",
			account.id,
		);
		unwrap(
			await accountStub(account.id).createKey({
				name: "second",
				secretHash: second.secretHash,
			}),
		);
		const { keyId } = unwrap(
			await account.stub.authenticate(account.credential),
		);
		unwrap(await account.stub.revokeKey(keyId));
		const { status, body } = await get(`Bearer ${account.key}`);
		expect([status, body.code]).toEqual([401, "revoked_key"]);
		expect((await get(`Bearer ${second.key}`)).status).toBe(200);
	});
});
