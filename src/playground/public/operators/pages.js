// @ts-check
/** A list that is shown page by page. */
import { element } from "../page.js";
import { admin } from "./secret.js";

export class Pages {
	/** @type {string | null} */
	#next = null;
	#query = "";
	/**
	 * @param {string} path of the admin route
	 * @param {string} list id of the rows' element; `more-…` is the button for the next page
	 * @param {(item: any) => HTMLElement} row
	 */
	constructor(path, list, row) {
		this.path = path;
		this.list = element(list, HTMLElement);
		this.more = element(`more-${list}`, HTMLButtonElement);
		this.row = row;
		this.more.addEventListener("click", () => void this.#add());
	}

	/** Shows the first page. @param {string} [query] */
	async show(query = "") {
		this.#query = query;
		this.#next = null;
		this.list.replaceChildren();
		await this.#add();
	}

	async #add() {
		const query = new URLSearchParams({
			limit: "10",
			...(this.#query && { query: this.#query }),
			...(this.#next && { cursor: this.#next }),
		});
		const page = await admin(`${this.path}?${query}`);
		this.#next = page.next_cursor;
		this.more.hidden = this.#next === null;
		this.list.append(...page.data.map(this.row));
	}
}
