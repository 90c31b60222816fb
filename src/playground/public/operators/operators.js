// @ts-check
/**
 * The operators' page: accounts, workers, the audit log.
 *
 * Runs in the browser, as all of operators/ does.
 */
import { button, cell, since } from "../console/table.js";
import { problemOf } from "../http.js";
import { element, make, say } from "../page.js";
import { afterEachAct, showAccount } from "./account.js";
import { Pages } from "./pages.js";
import { admin, forgetSecret, storedSecret, storeSecret } from "./secret.js";

const form = element("enter", HTMLFormElement);
const input = element("secret", HTMLInputElement);
const refused = element("secret-problem", HTMLElement);
const problem = element("problem", HTMLElement);
const entered = element("entered", HTMLElement);
const leave = element("leave", HTMLButtonElement);

const accounts = new Pages("/accounts", "accounts", (account) =>
	make(
		"tr",
		"",
		cell(account.name, "wide"),
		cell(since(account.created_at)),
		make("td", "", make("code", "", account.id)),
		cell(account.person?.subject ?? "made by operators", "wide"),
		make(
			"td",
			"",
			button("Open", `Open ${account.name}`, () =>
				attempt(() => showAccount(account.id)),
			),
		),
	),
);

const acts = new Pages("/acts", "acts", (act) => {
	const request = act.body === null ? "" : JSON.stringify(act.body);
	return make(
		"tr",
		"",
		cell(since(act.at)),
		cell(act.ip ?? ""),
		cell(`${act.method} ${act.path.replace("/admin", "")}`, "wide"),
		cell(request === "{}" ? "" : request, "wide"),
		cell(act.status === null ? "open" : String(act.status)),
	);
});

async function showPools() {
	const { data } = await admin("/pools");
	element("no-pools", HTMLElement).hidden = data.length > 0;
	element("pools", HTMLElement).replaceChildren(
		...data.flatMap((/** @type {any} */ pool) => [
			make("dt", "", pool.model),
			make(
				"dd",
				"",
				`${pool.workers.filter((/** @type {any} */ w) => w.state === "ready").length} of ` +
					`${pool.workers.length} ready, ${pool.running} of ${pool.ready_slots} slots taken, ` +
					`${pool.waiting} jobs wait`,
			),
		]),
	);
}

/** @param {() => Promise<void>} act */
async function attempt(act) {
	say(problem, "");
	try {
		await act();
	} catch (error) {
		const { status, message } = problemOf(error);
		if (status === 401) showForm("This is not the admin secret.");
		else say(problem, message);
	}
}

async function searchAccounts(query = "") {
	await accounts.show(query);
	element("no-accounts", HTMLElement).hidden =
		accounts.list.childElementCount > 0;
}

/** @param {string} [words] */
function showForm(words = "") {
	forgetSecret();
	form.hidden = false;
	entered.hidden = true;
	leave.hidden = true;
	say(refused, words);
	input.focus();
}

const show = () =>
	attempt(async () => {
		await searchAccounts();
		form.hidden = true;
		entered.hidden = false;
		leave.hidden = false;
		await Promise.all([showPools(), acts.show()]);
	});

form.addEventListener("submit", (event) => {
	event.preventDefault();
	storeSecret(input.value.trim());
	input.value = "";
	void show();
});
leave.addEventListener("click", () => showForm());
element("search", HTMLFormElement).addEventListener("submit", (event) => {
	event.preventDefault();
	const query = new FormData(
		/** @type {HTMLFormElement} */ (event.currentTarget),
	).get("query");
	void attempt(() => searchAccounts(String(query ?? "").trim()));
});
afterEachAct(() => attempt(() => acts.show()));

if (storedSecret() !== null) await show();
else input.focus();
