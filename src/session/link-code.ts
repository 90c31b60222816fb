/**
 * Codes of links that sign in. Each carries a tag of this deployment, so that a guess costs no call
 * of an object.
 */
import { equalInConstantTime, hmac } from "../crypto.ts";

const tagOf = async (secret: string, random: string): Promise<string> => {
	const mac = await hmac(secret, `minigpt4 sign-in link 1 ${random}`);
	return mac.slice(0, 16).toHex();
};

/** @param secret the deployment's first key secret */
export async function newLinkCode(secret: string): Promise<string> {
	const random = crypto.getRandomValues(new Uint8Array(32)).toHex();
	return `${random}${await tagOf(secret, random)}`;
}

/** Whether this deployment made the code. */
export async function isLinkCode(
	secrets: readonly string[],
	code: string,
): Promise<boolean> {
	const [, random = "", tag = ""] =
		/^([0-9a-f]{64})([0-9a-f]{32})$/.exec(code) ?? [];
	for (const secret of secrets)
		if (equalInConstantTime(tag, await tagOf(secret, random))) return true;
	return false;
}
