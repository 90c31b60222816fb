// @ts-check
/** One account: what it has, and what operators do with it. */
import { problemOf } from "../http.js";
import { announce, element, say } from "../page.js";
import { usd } from "../usd.js";
import { admin } from "./secret.js";

const sheet = element("account", HTMLElement);
const problem = element("account-problem", HTMLElement);
const suspend = element("suspend", HTMLButtonElement);
const unfreeze = element("unfreeze", HTMLButtonElement);
const grant = element("grant", HTMLFormElement);
const madeLink = element("made-link", HTMLOutputElement);

/** @type {any} */
let shown = null;
/** Called after each act. @type {() => Promise<void>} */
let onAct = async () => {};

/** @param {() => Promise<void>} act */
export const afterEachAct = (act) => {
	onAct = act;
};

/** @param {string} id */
export async function showAccount(id) {
	madeLink.value = "";
	say(problem, "");
	draw(await admin(`/accounts/${id}`));
	sheet.hidden = false;
	sheet.scrollIntoView({ block: "nearest" });
}

/** @param {any} account */
function draw(account) {
	shown = account;
	element("account-name", HTMLElement).textContent = account.name;
	const { available, held } = account.balance;
	element("account-facts", HTMLElement).textContent = [
		`${usd(available)} available`,
		...(held > 0 ? [`${usd(held)} held`] : []),
		...(account.suspended_at ? ["suspended"] : []),
		...(account.frozen_at ? [`frozen: ${account.audit.mismatch}`] : []),
		account.id,
	].join(" · ");
	unfreeze.hidden = !account.frozen_at;
	suspend.textContent = account.suspended_at ? "Resume" : "Suspend";
}

/** @param {() => Promise<void>} act */
async function attempt(act) {
	say(problem, "");
	try {
		await act();
	} catch (error) {
		say(problem, problemOf(error).message);
	}
	await onAct();
}

grant.addEventListener("submit", (event) => {
	event.preventDefault();
	const fields = new FormData(grant);
	const dollars = String(fields.get("amount")).trim();
	if (!/^\d{1,6}(\.\d{1,6})?$/.test(dollars)) {
		say(problem, "Write the amount in USD, as in 10 or 2.50.");
		return;
	}
	const [whole = "0", fraction = ""] = dollars.split(".");
	const amount = Number(whole) * 1e6 + Number(fraction.padEnd(6, "0"));
	const id = String(fields.get("id")).trim();
	if (id === "") {
		say(problem, "Name a reference: a second grant with it adds nothing.");
		return;
	}
	void attempt(async () => {
		draw(await admin(`/accounts/${shown.id}/credits`, { id, amount }));
		grant.reset();
		announce(`Granted ${usd(amount)}.`);
	});
});

suspend.addEventListener("click", () => {
	const act = shown.suspended_at ? "resume" : "suspend";
	if (
		act === "suspend" &&
		!confirm(`Calls of “${shown.name}” are refused from now on. Suspend it?`)
	)
		return;
	void attempt(async () => {
		draw(await admin(`/accounts/${shown.id}/${act}`, {}));
	});
});

unfreeze.addEventListener("click", () => {
	const question = `Does the ledger of “${shown.name}” count as right so far?`;
	if (!confirm(question)) return;
	void attempt(async () => {
		draw(await admin(`/accounts/${shown.id}/unfreeze`, {}));
	});
});

element("link", HTMLButtonElement).addEventListener(
	"click",
	() =>
		void attempt(async () => {
			const { url } = await admin(`/accounts/${shown.id}/sign-in-links`, {});
			madeLink.value = url;
		}),
);
