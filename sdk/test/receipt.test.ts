import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import vector from "../../test/fixtures/receipts/signed.json" with {
	type: "json",
};
import { ReceiptError, type ReceiptKeys, receipts } from "../src/index.ts";

const keys = vector.keys as ReceiptKeys;
const codeOf = (receipt: string, by = keys) =>
	receipts.verify(receipt, by).then(
		() => null,
		(error) => {
			expect(error).toBeInstanceOf(ReceiptError);
			return error.code;
		},
	);
const encode = (value: object) =>
	Buffer.from(JSON.stringify(value)).toString("base64url");

describe("a receipt", () => {
	it("of the golden vector is genuine, and says its claims", async () => {
		expect(await receipts.verify(vector.receipt, keys)).toEqual(vector.claims);
	});

	it("is refused with any one character changed", async () => {
		for (let at = 0; at < vector.receipt.length; at++) {
			const other = vector.receipt[at] === "A" ? "B" : "A";
			const [before, after] = [
				vector.receipt.slice(0, at),
				vector.receipt.slice(at + 1),
			];
			expect(await codeOf(before + other + after)).not.toBeNull();
		}
	});

	it("is refused where another key signed it, or none of those given", async () => {
		const [key] = keys.keys as [ReceiptKeys["keys"][number]];
		const { publicKey } = generateKeyPairSync("ed25519");
		const { x = "" } = publicKey.export({ format: "jwk" });
		const stranger = { ...key, x };
		const broken = { ...key, x: "no key" };
		expect(await codeOf(vector.receipt, { keys: [] })).toBe("key_unknown");
		expect(await codeOf(vector.receipt, { keys: [stranger] })).toBe(
			"signature_mismatch",
		);
		expect(await codeOf(vector.receipt, { keys: [broken] })).toBe(
			"key_invalid",
		);
	});

	it("cannot choose how it is signed", async () => {
		const [, payload] = vector.receipt.split(".");
		const kid = keys.keys[0]?.kid;
		for (const alg of ["none", "HS256", undefined])
			expect(await codeOf(`${encode({ alg, kid })}.${payload}.`)).toBe(
				"receipt_invalid",
			);
	});

	it("is no receipt where it is anything else", async () => {
		for (const text of ["", "a.b.c", "..", `${vector.receipt}.x`, "é.é.é"])
			expect(await codeOf(text)).toBe("receipt_invalid");
	});
});
