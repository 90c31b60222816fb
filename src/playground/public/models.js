// @ts-check
/**
 * The models of this deployment: the choice, if there are several, and facts about the chosen one.
 */
import { element } from "./page.js";
import { usd } from "./usd.js";

/**
 * @typedef {object} Model
 * @property {string} id
 * @property {string} license
 * @property {number} parameters
 * @property {number} context_length
 * @property {{ images: { rate: number, per: number } }} prices
 */

const choice = element("model-choice", HTMLElement);
const select = element("model", HTMLSelectElement);
const aboutNano = element("about-nano", HTMLElement);
const aboutOther = element("about-other", HTMLElement);
const aboutLicense = element("about-license", HTMLElement);

/** Without a list the page uses the default model. @returns {Promise<Model[]>} */
async function servedModels() {
	try {
		const answer = await fetch("/v1/models");
		return answer.ok ? (await answer.json()).data : [];
	} catch {
		return [];
	}
}

/** Describes the chosen model. @param {Model} model */
function describe({ id, license, parameters, context_length }) {
	aboutNano.hidden = id !== "nano";
	aboutOther.hidden = id === "nano";
	aboutLicense.textContent = license;
	const name = document.createElement("strong");
	name.textContent = id;
	const billions = (parameters / 1e9).toFixed(1);
	const tokens = context_length.toLocaleString("en");
	aboutOther.replaceChildren(
		name,
		` has ${billions} billion parameters and reads ${tokens} tokens, answer included.`,
		" It too can be wrong about what it sees.",
	);
}

let first = "nano";

/** Fills the select, and shows it if there are several models. */
export async function showModels() {
	const models = await servedModels();
	if (!models[0]) return;
	first = models[0].id;
	describe(models[0]);
	if (models.length === 1) return;
	select.replaceChildren(
		...models.map(({ id, prices: { images } }) => {
			const photo = usd(images.rate / images.per);
			return new Option(`${id} · ${photo} a photo, and its tokens`, id);
		}),
	);
	select.addEventListener("change", () =>
		describe(/** @type {Model} */ (models[select.selectedIndex])),
	);
	choice.hidden = false;
}

/** The model of a job that names none. */
export const defaultModel = () => first;

/** The chosen model; null if there is no choice. */
export const chosenModel = () => (choice.hidden ? null : select.value);
