import { calculateJwkThumbprint, compactVerify, importJWK } from "jose";
import { describe, expect, it } from "vitest";
import { publicKeys, signingKey } from "../../src/receipts/keys.ts";
import { signReceipt } from "../../src/receipts/receipt.ts";
import vectors from "../fixtures/receipts/signed.json";

type Claims = Parameters<typeof signReceipt>[0];
const claims = vectors.claims as Claims;

describe("the keys that sign receipts", () => {
	it("are the same for the same secret, and others for another", async () => {
		const [first, again, next] = await publicKeys([
			vectors.secret,
			vectors.secret,
			`${vectors.secret}.`,
		]);
		expect(first).toEqual(vectors.keys.keys[0]);
		expect(again).toEqual(first);
		expect(next?.x).not.toBe(first?.x);
		expect(first?.kid).toBe(await calculateJwkThumbprint(first as object));
	});

	it("sign what the golden vector holds, which the SDK verifies too", async () => {
		expect(await signReceipt(claims, vectors.secret)).toBe(vectors.receipt);
	});

	it("refuse a receipt with any one character of its claims or signature changed", async () => {
		const { publicKey } = await signingKey(vectors.secret);
		const key = await importJWK({ ...publicKey });
		const { receipt } = vectors;
		await compactVerify(receipt, key);
		for (let at = receipt.indexOf(".") + 1; at < receipt.length; at += 7) {
			const other = receipt[at] === "A" ? "B" : "A";
			const wrong = receipt.slice(0, at) + other + receipt.slice(at + 1);
			await expect(compactVerify(wrong, key)).rejects.toThrow();
		}
	});
});
