// @ts-check
/** Topping up, on a page of the payment provider's. */
import { problemOf } from "../http.js";
import { element, say } from "../page.js";
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
	const dollars = String(new FormData(form).get("amount")).trim();
	if (!/^\d{1,5}(\.\d{1,2})?$/.test(dollars)) {
		say(problem, "Write the amount in USD, as in 10 or 2.50.");
		return;
	}
	const [whole = "0", cents = ""] = dollars.split(".");
	const amount = Number(whole) * 1e6 + Number(cents.padEnd(2, "0")) * 1e4;
	try {
		const { url } = await call("/v1/billing/top-ups", {
			method: "POST",
			json: { amount },
		});
		location.assign(url);
	} catch (error) {
		const { code, message } = problemOf(error);
		if (code === "payments_off") form.hidden = true;
		say(problem, message);
	}
});
