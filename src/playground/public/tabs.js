// @ts-check
/** Tabs, by the ARIA pattern: arrow keys walk along them, and the chosen one's panel shows. */
import { make } from "./page.js";

let made = 0;

/**
 * @param {string} label of all tabs
 * @param {{ name: string, content: Node[] }[]} entries
 */
export function tabs(label, entries) {
	const group = `tabs-${++made}`;
	const list = make("div", "tablist");
	list.role = "tablist";
	list.ariaLabel = label;
	const pairs = entries.map(({ name, content }, n) => {
		const tab = make("button", "tab", name);
		const panel = make("div", "panel", ...content);
		tab.type = "button";
		tab.role = "tab";
		tab.id = `${group}-tab-${n}`;
		panel.role = "tabpanel";
		panel.id = `${group}-panel-${n}`;
		tab.setAttribute("aria-controls", panel.id);
		panel.setAttribute("aria-labelledby", tab.id);
		tab.addEventListener("click", () => choose(n));
		return { tab, panel };
	});
	/** @param {number} chosen */
	function choose(chosen) {
		for (const [n, { tab, panel }] of pairs.entries()) {
			tab.ariaSelected = String(n === chosen);
			tab.tabIndex = n === chosen ? 0 : -1;
			panel.hidden = n !== chosen;
		}
	}
	list.addEventListener("keydown", ({ key }) => {
		const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
		if (step === undefined) return;
		const now = pairs.findIndex(({ tab }) => tab.ariaSelected === "true");
		const next = (now + step + pairs.length) % pairs.length;
		choose(next);
		pairs[next]?.tab.focus();
	});
	choose(0);
	list.append(...pairs.map(({ tab }) => tab));
	return make("div", "tabs", list, ...pairs.map(({ panel }) => panel));
}
