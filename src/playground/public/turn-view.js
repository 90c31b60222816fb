// @ts-check
/** How a turn looks: the question, and below it the answer, always as text and never as markup. */
import { samplesOf } from "./code.js";
import { copyButton } from "./copy.js";
import { make, quietButton, say } from "./page.js";
import { tabs } from "./tabs.js";
import { htmlIn, showWebsite } from "./website.js";

/** @typedef {"waiting" | "writing" | "done" | "stopped" | "failed"} State */

/**
 * @typedef {object} Actions
 * @property {() => void} onAskAgain a new job in place of this one
 * @property {() => void} onTryAgain the same job once more
 * @property {() => void} onEdit
 * @property {() => import("./code.js").Call} call
 */

export class TurnView {
	root = make("li", "turn");
	#status = make("span", "");
	#sees = make("p", "sees", "It sees: ", document.createTextNode(""));
	#text = make("div", "text");
	#trouble = make("div", "trouble");
	#preview = make("figure", "preview");
	#price = make("span", "price");
	#facts = make("dl", "facts");
	#code = make("div", "");
	#details = make("details", "details");
	#copy = copyButton("Copy", () => this.#text.textContent ?? "");
	#askAgain;
	#tryAgain;
	#edit;

	/**
	 * @param {string} question
	 * @param {boolean} isSource whether the answer will be source code
	 * @param {Actions} actions
	 */
	constructor(question, isSource, { onAskAgain, onTryAgain, onEdit, call }) {
		this.#askAgain = quietButton("Ask again", onAskAgain);
		this.#tryAgain = quietButton("Try again", onTryAgain);
		this.#edit = quietButton("Edit the question", onEdit);
		this.#askAgain.classList.add("for-last");
		this.#edit.classList.add("for-last");
		this.#text.classList.toggle("source", isSource);

		const dot = make("span", "dot");
		dot.ariaHidden = "true";
		this.#details.append(make("summary", "", "Details and code"));
		this.#details.append(this.#facts, this.#code);
		this.#details.addEventListener("toggle", () => {
			if (this.#details.open) this.#showCode(call());
		});
		const bubble = make(
			"div",
			"answer",
			this.#sees,
			this.#text,
			this.#trouble,
			this.#preview,
			make(
				"div",
				"foot",
				make("p", "status", dot, this.#status),
				this.#price,
				make(
					"p",
					"actions",
					this.#copy,
					this.#tryAgain,
					this.#askAgain,
					this.#edit,
				),
			),
			this.#details,
		);
		const heading = make("h3", "asked", make("span", "unseen", "You asked: "));
		heading.append(question);
		this.root.append(heading, bubble);
		this.begin();
	}

	/** Forgets the answer, because another one comes. */
	begin() {
		this.#text.replaceChildren(document.createTextNode(""));
		/** @type {Text} */ (this.#sees.lastChild).data = "";
		this.#sees.hidden = this.#trouble.hidden = this.#preview.hidden = true;
		this.#details.hidden = true;
		say(this.#price, "");
		this.show("waiting", "Asking");
	}

	/** @param {State} state @param {string} words */
	show(state, words) {
		this.root.dataset.state = state;
		this.#status.textContent = words;
		const isOver = state !== "waiting" && state !== "writing";
		this.#copy.hidden = !isOver || this.#text.textContent === "";
		this.#askAgain.hidden = !isOver;
		this.#tryAgain.hidden = this.#edit.hidden = true;
	}

	/** @param {string} piece */
	write(piece) {
		/** @type {Text} */ (this.#text.firstChild).appendData(piece);
	}

	/** Shows more of what the model sees. @param {string} piece */
	writeDescription(piece) {
		/** @type {Text} */ (this.#sees.lastChild).appendData(piece);
		this.#sees.hidden = false;
	}

	/** Shows that the call can be seen as code. */
	wasSent() {
		this.#details.hidden = false;
	}

	/** @param {string} price @param {[name: string, value: string][]} rows */
	showFacts(price, rows) {
		say(this.#price, price);
		this.#facts.replaceChildren(
			...rows.map(([name, value]) => {
				const detail = make("dd", name === "Job" ? "ids" : "", value);
				return make("div", "", make("dt", "", name), detail);
			}),
		);
	}

	/**
	 * @param {string} words @param {string[]} ids for the reader to quote when asking for help
	 * @param {boolean} mayTryAgain whether the job itself may still bring an answer
	 */
	showProblem(words, ids, mayTryAgain) {
		this.#trouble.replaceChildren(
			make("p", "", words),
			make("p", "ids", ids.join(" · ")),
		);
		this.#trouble.hidden = false;
		this.show("failed", "That did not work");
		this.#tryAgain.hidden = !mayTryAgain;
		this.#askAgain.hidden = mayTryAgain;
		this.#edit.hidden = mayTryAgain;
	}

	/** Shows the web page in the answer, or a note if the answer holds no HTML. */
	previewWebsite() {
		const html = htmlIn(this.#text.textContent ?? "");
		if (html) return showWebsite(this.#preview, html);
		this.#preview.replaceChildren(
			make(
				"figcaption",
				"",
				"The answer holds no HTML, so there is no page to preview.",
			),
		);
		this.#preview.hidden = false;
	}

	/** @param {import("./code.js").Call} call */
	#showCode(call) {
		const hint = make("p", "hint", "Each reads your key: ");
		hint.append(make("code", "", "export MINIGPT4_API_KEY=mg_live_…"));
		const entries = samplesOf(call).map(({ name, code }) => {
			const block = make("pre", "", make("code", "", code));
			return { name, content: [block, copyButton("Copy", () => code)] };
		});
		this.#code.replaceChildren(tabs("The same call as code", entries), hint);
	}
}
