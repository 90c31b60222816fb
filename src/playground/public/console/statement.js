// @ts-check
/** A month's statement, for paper: what came in, what was spent day by day, what is left. */
import { problemOf } from "../http.js";
import { element, make, say } from "../page.js";
import { usd } from "../usd.js";
import { call } from "./session.js";
import { cell } from "./table.js";

const MONTHS = 12;
const select = element("month", HTMLSelectElement);
const sheet = element("statement", HTMLElement);
const problem = element("problem", HTMLElement);

/** The first moment of a month. @param {number} ago months */
const monthsAgo = (ago) => {
	const now = new Date();
	return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - ago));
};
/** @param {Date} month */
const title = (month) =>
	month.toLocaleDateString(undefined, {
		month: "long",
		year: "numeric",
		timeZone: "UTC",
	});

for (let ago = 0; ago < MONTHS; ago++)
	select.add(new Option(title(monthsAgo(ago)), String(ago)));

/** Every entry of a kind. @param {string} kind @param {Record<string, string>} time */
async function entries(kind, time) {
	const found = [];
	let cursor = null;
	do {
		const query = new URLSearchParams({
			...time,
			kind,
			limit: "1000",
			...(cursor && { cursor }),
		});
		const page = await call(`/v1/ledger?${query}`);
		found.push(...page.data);
		cursor = page.next_cursor;
	} while (cursor);
	return found.reverse();
}

/** What the account had, held or not. @param {string} before */
async function balanceAt(before) {
	let cursor = null;
	do {
		const query = new URLSearchParams({
			before,
			limit: "1",
			...(cursor && { cursor }),
		});
		const page = await call(`/v1/ledger?${query}`);
		const [last] = page.data;
		if (last) return last.balance.available + last.balance.held;
		cursor = page.next_cursor;
	} while (cursor);
	return 0;
}

/** @param {string} caption @param {string[]} heads @param {HTMLElement[]} rows */
function table(caption, heads, rows) {
	const made = make("table", "");
	made.append(
		make("caption", "", caption),
		make(
			"thead",
			"",
			make(
				"tr",
				"",
				...heads.map((head, n) =>
					make("th", n === heads.length - 1 ? "number" : "", head),
				),
			),
		),
		make("tbody", "", ...rows),
	);
	return made;
}

/** @param {number} ago */
async function build(ago) {
	const [start, end] = [monthsAgo(ago), monthsAgo(ago - 1)];
	const time = { after: start.toISOString(), before: end.toISOString() };
	const from = time.after.slice(0, 10);
	const to = new Date(end.getTime() - 1).toISOString().slice(0, 10);
	const [account, opening, closing, credits, reversals, usage] =
		await Promise.all([
			call("/v1/account"),
			balanceAt(time.after),
			balanceAt(time.before),
			entries("credit", time),
			entries("reversal", time),
			call(`/v1/usage?by=day&from=${from}&to=${to}`),
		]);
	/** @param {number[]} amounts */
	const sum = (amounts) => amounts.reduce((total, each) => total + each, 0);
	/** @param {any} entry */
	const amount = (entry) => entry.amount;
	const facts = make("dl", "parts");
	for (const [name, value] of /** @type {const} */ ([
		["Balance at the beginning", opening],
		["Credit", sum(credits.map(amount))],
		["Taken back", sum(reversals.map(amount))],
		["Spent", -sum(usage.data.map((/** @type {any} */ day) => day.price))],
		["Balance at the end", closing],
	]))
		facts.append(make("dt", "", name), make("dd", "", usd(value)));
	const moves = [...credits, ...reversals].sort((a, b) => a.seq - b.seq);
	sheet.replaceChildren(
		make("h1", "", `Statement, ${title(start)}`),
		make(
			"p",
			"hint",
			`${account.name}, account ${account.id}. Days are UTC's.`,
		),
		facts,
		table(
			"Credit",
			["Day", "Reference", "Amount"],
			moves.map((entry) =>
				make(
					"tr",
					"",
					cell(entry.created_at.slice(0, 10)),
					cell(entry.credit, "wide"),
					cell(usd(entry.amount), "number"),
				),
			),
		),
		table(
			"Jobs",
			["Day", "Jobs", "Tokens", "Price"],
			usage.data.map((/** @type {any} */ day) =>
				make(
					"tr",
					"",
					cell(day.day),
					cell(String(day.jobs)),
					cell(String(day.prompt_tokens + day.output_tokens)),
					cell(usd(day.price), "number"),
				),
			),
		),
	);
}

element("print", HTMLButtonElement).addEventListener("click", async () => {
	say(problem, "");
	try {
		await build(Number(select.value));
		print();
	} catch (error) {
		say(problem, problemOf(error).message);
	}
});
