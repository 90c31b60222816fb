// @ts-check
/** The section of the page that shows the answer, always as text and never as markup. */
import { copy } from "./curl.js";
import { element, say } from "./page.js";
import { htmlIn, showWebsite } from "./website.js";

/** @import { Problem } from "./http.js" */

const section = element("answer", HTMLElement);
const status = element("status", HTMLElement);
const placeholder = element("placeholder", HTMLElement);
const text = element("text", HTMLElement);
const problem = element("problem", HTMLElement);
const preview = element("preview", HTMLElement);
const facts = element("facts", HTMLElement);
const copyButton = element("copy-answer", HTMLButtonElement);
const againButton = element("again", HTMLButtonElement);
const announcement = element("said", HTMLElement);

/** @typedef {"empty" | "waiting" | "writing" | "done" | "stopped" | "failed"} State */

/** Formats micro-USD as USD. @param {number} price */
export const usd = (price) =>
	`${(price / 1e6).toFixed(6).replace(/(\.\d\d\d*?)0+$/, "$1")} USD`;

/** @param {State} state @param {string} words */
export function show(state, words) {
	section.dataset.state = state;
	status.textContent = words;
	placeholder.hidden = state !== "empty";
	// Screen readers wait while the text grows, then read it as a whole.
	text.ariaBusy = String(state === "waiting" || state === "writing");
	copyButton.hidden = text.textContent === "" || state === "writing";
	againButton.hidden = state !== "stopped";
}

/**
 * Clears the section for a new answer.
 * @param {boolean} isSource whether the answer will be source code
 */
export function begin(isSource) {
	text.replaceChildren(document.createTextNode(""));
	text.classList.toggle("source", isSource);
	problem.hidden = facts.hidden = preview.hidden = true;
	preview.replaceChildren();
	// On a phone the answer begins below the fold.
	const { top } = section.getBoundingClientRect();
	if (top > innerHeight * 0.75)
		section.scrollIntoView({
			behavior: matchMedia("(prefers-reduced-motion: reduce)").matches
				? "auto"
				: "smooth",
		});
}

/** @param {string} piece */
export const write = (piece) =>
	/** @type {Text} */ (text.firstChild).appendData(piece);

/** @param {[name: string, value: string][]} rows */
export function showFacts(rows) {
	facts.replaceChildren(
		...rows.map(([name, value]) => {
			const row = document.createElement("div");
			const term = document.createElement("dt");
			const detail = document.createElement("dd");
			term.textContent = name;
			detail.textContent = value;
			if (name === "Job") detail.className = "ids";
			row.append(term, detail);
			return row;
		}),
	);
	facts.hidden = rows.length === 0;
}

/** @param {string} words @param {string[]} ids for the reader to quote when asking for help */
export function showProblem(words, ids) {
	say(element("problem-words", HTMLElement), words);
	say(element("problem-ids", HTMLElement), ids.join(" · "));
	problem.hidden = false;
}

/** Shows the web page in the answer, or a note if the answer holds no HTML. */
export function previewWebsite() {
	const html = htmlIn(text.textContent ?? "");
	if (html) return showWebsite(preview, html);
	const note = document.createElement("figcaption");
	note.textContent =
		"The answer holds no HTML, so there is no page to preview.";
	preview.replaceChildren(note);
	preview.hidden = false;
}

copyButton.addEventListener("click", async () => {
	announcement.textContent = (await copy(text.textContent ?? ""))
		? "Answer copied"
		: "The browser refused to copy";
	copyButton.textContent = announcement.textContent;
	setTimeout(() => {
		copyButton.textContent = "Copy the answer";
	}, 2000);
});
