// @ts-check
/** Automatic top-up: when the saved card is charged, and with how much. */
import { problemOf } from "../http.js";
import { element, say } from "../page.js";
import { usd } from "../usd.js";
import { microUsd } from "./money.js";
import { call } from "./session.js";

const PATH = "/v1/billing/auto-top-up";
const form = element("auto-top-up", HTMLFormElement);
const off = element("auto-top-up-off", HTMLButtonElement);
const notice = element("auto-top-up-said", HTMLElement);
const problem = element("auto-top-up-problem", HTMLElement);

const WORDS = {
	off: "Off.",
	ready: "On.",
	charging: "The card is being charged.",
	capped: "The month's cap is reached. It goes on next month.",
	declined:
		"The card was refused, and is not charged again before you save here once more.",
	unclear:
		"The payment provider did not say whether it charged the card. Look there, then save here.",
};

const FIELDS = /** @type {const} */ (["below", "amount", "monthly_cap"]);

export async function showAutoTopUp() {
	show(await call(PATH));
}

/** @param {any} rule */
function show(rule) {
	form.hidden = !rule.card_saved;
	off.hidden = rule.status === "off";
	for (const name of FIELDS) {
		const field = /** @type {HTMLInputElement} */ (
			form.elements.namedItem(name)
		);
		if (rule[name] !== null) field.value = String(rule[name] / 1e6);
	}
	const words = WORDS[/** @type {keyof typeof WORDS} */ (rule.status)];
	say(
		notice,
		rule.card_saved ? `${words} ${usd(rule.charged)} charged this month.` : "",
	);
}

/** @param {{ method: string, json?: object }} change */
async function change(change) {
	say(problem, "");
	try {
		show(await call(PATH, change));
	} catch (error) {
		say(problem, problemOf(error).message);
	}
}

form.addEventListener("submit", (event) => {
	event.preventDefault();
	const given = new FormData(form);
	const amounts = FIELDS.map((name) => microUsd(String(given.get(name))));
	if (amounts.includes(null)) {
		say(problem, "Write each amount in USD, as in 10 or 2.50.");
		return;
	}
	const rule = Object.fromEntries(FIELDS.map((name, n) => [name, amounts[n]]));
	void change({ method: "PUT", json: rule });
});
off.addEventListener("click", () => void change({ method: "DELETE" }));
