// @ts-check
/** The caller's API key. It comes in the URL's fragment, which no server sees, and stays in this tab. */

const STORED = "minigpt4.key";
const FORM = /^mg_live_[0-9a-z]{16}_[0-9a-z]{52}_[0-9a-z]{16}$/;

/** Whether the text has the form of a key; only the server knows whether it is one. @param {string} text */
export const looksLikeKey = (text) => FORM.test(text);

/** Takes a key out of the address bar, where it must not stay, and keeps it. @returns {boolean} whether one was there */
export function takeKeyFromAddress() {
	const key = new URLSearchParams(location.hash.slice(1)).get("key");
	if (key === null) return false;
	history.replaceState(null, "", location.pathname + location.search);
	keepKey(key.trim());
	return true;
}

/** @returns {string | null} */
export const knownKey = () => sessionStorage.getItem(STORED);

/** @param {string} key */
export const keepKey = (key) => sessionStorage.setItem(STORED, key);

export const forgetKey = () => sessionStorage.removeItem(STORED);

/** Enough of a key to tell it from another. @param {string} key */
export const masked = (key) => `mg_live_…${key.slice(-4)}`;
