// @ts-check
/** The models of this deployment: a choice where there are several, and what to know of the chosen one. */
import { usd } from "./answer.js";
import { element } from "./page.js";

/** @typedef {{ id: string, parameters: number, context_length: number, price: number }} Model */

const choice = element("model-choice", HTMLElement);
const select = element("model", HTMLSelectElement);
const aboutNano = element("about-nano", HTMLElement);
const aboutOther = element("about-other", HTMLElement);

/** A page that cannot learn of them asks the default one. @returns {Promise<Model[]>} */
async function served() {
	try {
		const answer = await fetch("/v1/models");
		return answer.ok ? (await answer.json()).data : [];
	} catch {
		return [];
	}
}

/** @param {Model} model */
function about({ id, parameters, context_length }) {
	aboutNano.hidden = id !== "nano";
	aboutOther.hidden = id === "nano";
	const name = document.createElement("strong");
	name.textContent = id;
	const billions = (parameters / 1e9).toFixed(1);
	aboutOther.replaceChildren(
		name,
		` has ${billions} billion parameters and reads ${context_length.toLocaleString("en")} tokens, answer included. It too can be wrong about what it sees.`,
	);
}

/** Fills the select, and shows it where there is something to choose. @param {() => void} onChoice */
export async function showModels(onChoice) {
	const models = await served();
	const [first] = models;
	if (!first) return;
	about(first);
	if (models.length === 1) return;
	select.replaceChildren(
		...models.map(({ id, price }) => new Option(`${id} · ${usd(price)}`, id)),
	);
	select.addEventListener("change", () =>
		about(/** @type {Model} */ (models[select.selectedIndex])),
	);
	choice.hidden = false;
	onChoice();
}

/** The chosen model, or null where there is no choice. */
export const chosenModel = () => (choice.hidden ? null : select.value);
