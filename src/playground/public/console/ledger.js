// @ts-check
/** The account's ledger: every movement of money, newest first. */
import { problemOf } from "../http.js";
import { element, make, say } from "../page.js";
import { usd } from "../usd.js";
import { call, download } from "./session.js";
import { cell, since } from "./table.js";

const list = element("ledger", HTMLElement);
const more = element("more-ledger", HTMLButtonElement);
const problem = element("problem", HTMLElement);
/** @type {string | null} */
let next = null;

const WORDS = {
	credit: "credit",
	reversal: "taken back",
	hold: "set aside",
	settle: "paid",
	release: "set free",
};

export async function showLedger() {
	next = null;
	list.replaceChildren();
	await showPage();
}

async function showPage() {
	const query = new URLSearchParams({
		limit: "10",
		...(next && { cursor: next }),
	});
	const page = await call(`/v1/ledger?${query}`);
	next = page.next_cursor;
	more.hidden = next === null;
	list.append(...page.data.map(row));
}

/** @param {any} entry */
function row(entry) {
	const when = cell(since(entry.created_at));
	when.title = new Date(entry.created_at).toLocaleString();
	const what = WORDS[/** @type {keyof typeof WORDS} */ (entry.kind)];
	const price = entry.price === null ? "" : ` ${usd(entry.price)}`;
	return make(
		"tr",
		"",
		when,
		cell(entry.kind === "settle" ? `${what}${price}` : what),
		make("td", "wide", make("code", "", entry.job ?? entry.credit)),
		cell(`${entry.amount > 0 ? "+" : ""}${usd(entry.amount)}`, "number"),
		cell(usd(entry.balance.available), "number"),
	);
}

/** @param {() => Promise<void>} act */
async function attempt(act) {
	say(problem, "");
	try {
		await act();
	} catch (error) {
		say(problem, problemOf(error).message);
	}
}

more.addEventListener("click", () => void attempt(showPage));
element("csv", HTMLButtonElement).addEventListener(
	"click",
	() =>
		void attempt(() =>
			download("/v1/ledger?limit=1000", "text/csv", "ledger.csv"),
		),
);
