import { expect, it } from "vitest";
import { isLinkCode, newLinkCode } from "../../src/session/link-code.ts";

const OLD = "secret-secret-secret-secret-0001";
const NEW = "another-another-another-another-";

it("a link's code is known as this deployment's, with no object asked", async () => {
	const code = await newLinkCode(OLD);
	expect(await isLinkCode([NEW, OLD], code)).toBe(true);
	expect(await isLinkCode([NEW], code)).toBe(false);
	expect(await newLinkCode(OLD)).not.toBe(code);
});

it("no code is, with any one character changed, dropped or added", async () => {
	const code = await newLinkCode(OLD);
	for (let at = 0; at < code.length; at++) {
		const other = code[at] === "0" ? "1" : "0";
		for (const middle of [other, "", `${code[at]}0`]) {
			const wrong = code.slice(0, at) + middle + code.slice(at + 1);
			expect(await isLinkCode([OLD], wrong)).toBe(false);
		}
	}
});
