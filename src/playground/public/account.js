// @ts-check
/**
 * The key's form and the account of the key: its end and its credit.
 *
 * Runs in the browser, as all of playground/ does.
 */
import { call, Problem } from "./http.js";
import {
	forgetKey,
	looksLikeKey,
	masked,
	storedKey,
	storeKey,
	takeKeyFromAddress,
} from "./key.js";
import { element, say } from "./page.js";
import { usd } from "./usd.js";

const form = element("key-form", HTMLFormElement);
const input = element("key", HTMLInputElement);
const problem = element("key-problem", HTMLElement);
const credit = element("credit", HTMLElement);

/**
 * Shows the field for a key, or the stored key and its account's credit.
 * @param {string} [words] what is wrong with the key
 */
function showAccount(words = "") {
	const key = storedKey();
	form.hidden = key !== null;
	element("account", HTMLElement).hidden = key === null;
	say(problem, words);
	say(credit, "");
	if (key === null) return;
	element("masked", HTMLElement).textContent = masked(key);
	void showCredit();
}

export async function showCredit() {
	const key = storedKey();
	if (key === null) return;
	try {
		const account = await (await call("/v1/account", key)).json();
		if (key === storedKey())
			say(credit, `${usd(account.balance.available)} left`);
	} catch (error) {
		if (error instanceof Problem && error.status === 401)
			refuseKey(error.message);
	}
}

/** Asks for another key. @param {string} words what is wrong with this one */
export function refuseKey(words) {
	forgetKey();
	showAccount(words);
	input.focus();
}

/** @param {() => void} onNewKey called when another key is stored */
export function watchForKeys(onNewKey) {
	form.addEventListener("submit", (event) => {
		event.preventDefault();
		const key = input.value.trim();
		if (!looksLikeKey(key)) {
			say(
				problem,
				key === ""
					? "Paste a key first."
					: "This is not a whole key. Copy it from mg_live_ to its end.",
			);
			input.focus();
			return;
		}
		input.value = "";
		storeKey(key);
		showAccount();
		element("file", HTMLInputElement).focus();
		onNewKey();
	});
	element("forget", HTMLButtonElement).addEventListener("click", () => {
		forgetKey();
		showAccount();
		input.focus();
	});
	addEventListener("hashchange", () => {
		if (!takeKeyFromAddress()) return;
		showAccount();
		onNewKey();
	});
	takeKeyFromAddress();
	showAccount();
}
