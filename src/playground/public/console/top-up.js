// @ts-check
/** Topping up, on a page of the payment provider's. */
import { problemOf } from "../http.js";
import { element, say } from "../page.js";
import { microUsd } from "./money.js";
import { call } from "./session.js";

const form = element("top-up", HTMLFormElement);
const notice = element("top-up-said", HTMLElement);
const problem = element("top-up-problem", HTMLElement);

/** What the provider's page came back with. @param {string | null} paid */
export function sayPaid(paid) {
	say(
		notice,
		paid === "yes"
			? "Thank you. The credit is here as soon as the payment has arrived."
			: paid === "no"
				? "Nothing was paid."
				: "",
	);
}

form.addEventListener("submit", async (event) => {
	event.preventDefault();
	say(problem, "");
	const given = new FormData(form);
	const amount = microUsd(String(given.get("amount")));
	if (amount === null) {
		say(problem, "Write the amount in USD, as in 10 or 2.50.");
		return;
	}
	try {
		const { url } = await call("/v1/billing/top-ups", {
			method: "POST",
			json: { amount, save_card: given.get("save_card") !== null },
		});
		location.assign(url);
	} catch (error) {
		const { code, message } = problemOf(error);
		if (code === "payments_off") form.hidden = true;
		say(problem, message);
	}
});
