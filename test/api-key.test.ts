import { describe, expect, it } from "vitest";
import { base32, issueKey, newAccountId, readKey } from "../src/api-key.ts";
import { equalInConstantTime, sha256 } from "../src/crypto.ts";

const SERVER = "server-key-server-key-server-key-1";
const NEXT = "server-key-server-key-server-key-2";

describe("an API key", () => {
	it("names its account and its secret's hash to the server that issued it", async () => {
		const account = newAccountId();
		const { key, secretHash } = await issueKey(SERVER, account);
		expect(await readKey([SERVER], key)).toEqual({ account, secretHash });
		expect(secretHash).toBe(await sha256(key.split("_")[3] as string));
	});

	it("stays good while the server key is rotated, and ends with it", async () => {
		const { key } = await issueKey(SERVER, newAccountId());
		expect(await readKey([NEXT, SERVER], key)).not.toBeNull();
		expect(await readKey([NEXT], key)).toBeNull();
	});

	it("is refused with any one character changed, dropped or added", async () => {
		const { key } = await issueKey(SERVER, newAccountId());
		for (let at = 0; at < key.length; at++) {
			const other = key[at] === "7" ? "8" : "7";
			for (const middle of [other, "", `${key[at]}7`]) {
				const wrong = key.slice(0, at) + middle + key.slice(at + 1);
				expect(await readKey([SERVER], wrong)).toBeNull();
			}
		}
	});

	it("is never issued twice", async () => {
		const account = newAccountId();
		const keys = await Promise.all(
			Array.from({ length: 50 }, () => issueKey(SERVER, account)),
		);
		expect(new Set(keys.map((k) => k.key)).size).toBe(50);
	});
});

describe("base 32", () => {
	// The vectors of RFC 4648 section 10, in Crockford's alphabet and without padding.
	it.each([
		["", ""],
		["f", "cr"],
		["fo", "csqg"],
		["foo", "csqpy"],
		["foob", "csqpyrg"],
		["fooba", "csqpyrk1"],
		["foobar", "csqpyrk1e8"],
	])("writes %j as %j", (text, expected) => {
		expect(base32(new TextEncoder().encode(text))).toBe(expected);
	});
});

describe("comparison in constant time", () => {
	it("agrees with ===", () => {
		for (const [a, b] of [
			["", ""],
			["abc", "abc"],
			["abc", "abd"],
			["abc", "abcd"],
			["ä", "a"],
		] as const)
			expect(equalInConstantTime(a, b)).toBe((a as string) === b);
	});
});
