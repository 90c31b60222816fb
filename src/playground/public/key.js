// @ts-check
/**
 * The caller's API key. The page takes it from the URL's fragment, which no server sees, and keeps
 * it in this tab.
 */

const STORAGE_NAME = "minigpt4.key";
const FORM = /^mg_live_[0-9a-z]{16}_[0-9a-z]{52}_[0-9a-z]{16}$/;

/**
 * Whether the text has the form of a key. Only the server knows whether the key is valid.
 * @param {string} text
 */
export const looksLikeKey = (text) => FORM.test(text);

/**
 * Moves a key from the address bar, where others could see it, to the tab's storage.
 * @returns {boolean} whether there was one
 */
export function takeKeyFromAddress() {
	const key = new URLSearchParams(location.hash.slice(1)).get("key");
	if (key === null) return false;
	history.replaceState(null, "", location.pathname + location.search);
	storeKey(key.trim());
	return true;
}

/** @returns {string | null} */
export const storedKey = () => sessionStorage.getItem(STORAGE_NAME);

/** @param {string} key */
export const storeKey = (key) => sessionStorage.setItem(STORAGE_NAME, key);

export const forgetKey = () => sessionStorage.removeItem(STORAGE_NAME);

/** The end of a key, which is enough to recognize it. @param {string} key */
export const masked = (key) => `mg_live_…${key.slice(-4)}`;
