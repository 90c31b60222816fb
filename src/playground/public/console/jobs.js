// @ts-check
/** The account's newest jobs, each with what its price consists of. */
import { element, make } from "../page.js";
import { exactUsd, usd } from "../usd.js";
import { call } from "./session.js";
import { button, cell, since } from "./table.js";

const list = element("jobs", HTMLElement);
const more = element("more-jobs", HTMLButtonElement);
/** @type {string | null} */
let next = null;

const ITEMS = {
	prompt_tokens: "prompt tokens",
	output_tokens: "output tokens",
	images: "images",
};

export async function showJobs() {
	next = null;
	list.replaceChildren();
	await showPage();
	const isEmpty = list.childElementCount === 0;
	element("no-jobs", HTMLElement).hidden = !isEmpty;
	element("jobs-table", HTMLElement).hidden = isEmpty;
}

async function showPage() {
	const query = new URLSearchParams({
		limit: "10",
		...(next && { cursor: next }),
	});
	const page = await call(`/v1/jobs?${query}`);
	next = page.next_cursor;
	more.hidden = next === null;
	list.append(...page.data.map(row));
}

/** @param {any} job */
function row(job) {
	const line = make("tr", "");
	const when = cell(since(job.created_at));
	when.title = new Date(job.created_at).toLocaleString();
	const open = button("Details", `Details of job ${job.id}`, async () => {
		const isOpen = open.getAttribute("aria-expanded") === "true";
		open.setAttribute("aria-expanded", String(!isOpen));
		if (isOpen) line.nextElementSibling?.remove();
		else line.after(await parts(job.id));
	});
	open.setAttribute("aria-expanded", "false");
	line.append(
		when,
		cell(job.model),
		cell(job.status),
		cell(job.price === null ? "" : usd(job.price), "number"),
		make("td", "", open),
	);
	return line;
}

/** @param {string} id */
async function parts(id) {
	const job = await call(`/v1/jobs/${id}`);
	const prices = make("dl", "parts");
	for (const { item, quantity, amount } of job.price_parts ?? []) {
		const name = ITEMS[/** @type {keyof typeof ITEMS} */ (item)];
		prices.append(
			make("dt", "", `${quantity} ${name}`),
			make("dd", "", exactUsd(amount)),
		);
	}
	const whole = make(
		"td",
		"wide",
		make("p", "", job.output.text || (job.error?.message ?? "")),
		prices,
		make("code", "", id),
	);
	whole.colSpan = 5;
	return make("tr", "", whole);
}

more.addEventListener("click", () => void showPage());
