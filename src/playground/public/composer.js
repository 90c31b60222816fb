// @ts-check
/** The form below the conversation: the question, the tasks, the settings, and the keyboard. */
import { hasPhoto } from "./chosen-photo.js";
import { expectAnew } from "./expected-price.js";
import { storedKey } from "./key.js";
import { chosenModel } from "./models.js";
import { element, say } from "./page.js";

/** @import { Question, Settings } from "./conversation.js" */

const form = element("ask", HTMLFormElement);
const prompt = element("prompt", HTMLTextAreaElement);
const submitButton = element("go", HTMLButtonElement);
const trouble = element("form-problem", HTMLElement);
const taskButtons = /** @type {NodeListOf<HTMLButtonElement>} */ (
	document.querySelectorAll("[data-task]")
);
const FIRST_QUESTION = prompt.value;

/** The settings that are filled in. The others are left out, so that the API's defaults apply. */
export function settings() {
	const fields = new FormData(form);
	const model = chosenModel();
	/** @type {Settings} */
	const chosen = model === null ? {} : { model };
	for (const name of /** @type {const} */ ([
		"max_tokens",
		"temperature",
		"seed",
	])) {
		const value = fields.get(name);
		if (value !== "") chosen[name] = Number(value);
	}
	return chosen;
}

/** What is in the field, unless it or a setting cannot be sent. @returns {Question | null} */
export function question() {
	const words = prompt.value.trim();
	return words === "" || !form.checkValidity() ? null : { prompt: words };
}

const FIELD_PROBLEMS = {
	max_tokens: "The longest answer is a whole number of tokens from 1 to 2,048.",
	temperature: "The temperature is a number from 0 to 2.",
	seed: "The seed is a whole number from 0 to 4,294,967,295.",
};

/**
 * Whether a question can be asked. If not, says why, and leads to what the user must change.
 */
export function isReady() {
	const obstacle = findObstacle();
	say(trouble, obstacle ? obstacle[0] : "");
	obstacle?.[1].focus();
	return obstacle === null;
}

/** @returns {[words: string, where: HTMLElement] | null} */
function findObstacle() {
	if (storedKey() === null)
		return ["Paste your API key first.", element("key", HTMLInputElement)];
	if (!hasPhoto())
		return ["Choose a photo first.", element("file", HTMLInputElement)];
	for (const [name, words] of Object.entries(FIELD_PROBLEMS)) {
		const input = /** @type {HTMLInputElement} */ (
			form.elements.namedItem(name)
		);
		if (input.validity.valid) continue;
		/** @type {HTMLDetailsElement} */ (input.closest("details")).open = true;
		return [words, input];
	}
	return null;
}

let isBusy = false;

/** Whether an answer is on its way, which turns the button into one that stops it. */
export function showBusy(/** @type {boolean} */ busy) {
	isBusy = busy;
	submitButton.textContent = busy ? "Stop" : "Ask";
	submitButton.classList.toggle("stop", busy);
	// Not disabled: what has the focus keeps it.
	for (const button of taskButtons) button.ariaDisabled = String(busy);
	say(trouble, "");
	expectAnew();
}

/** Puts a question into the field to be changed. @param {string} words */
export function edit(words) {
	prompt.value = words;
	prompt.focus();
	expectAnew();
}

/** The field as it is before a first question, unless something is written in it. */
export function offerFirstQuestion() {
	prompt.value ||= FIRST_QUESTION;
	expectAnew();
}

export function clear() {
	prompt.value = "";
}

/** So that a button that goes away does not take the focus along. */
export const focusButton = () => submitButton.focus();
export const focusPrompt = () => prompt.focus();

/** @param {{ onAsk: (question: Question) => void, onStop: () => void }} options */
export function watchComposer({ onAsk, onStop }) {
	form.addEventListener("submit", (event) => {
		event.preventDefault();
		if (isBusy) return onStop();
		if (!isReady()) return;
		const words = prompt.value.trim();
		if (words === "") {
			say(trouble, "Write a question first, or choose a task.");
			return prompt.focus();
		}
		prompt.value = "";
		onAsk({ prompt: words });
	});
	for (const button of taskButtons) {
		button.addEventListener("click", () => {
			const task = /** @type {import("./tasks.js").Task} */ (
				button.dataset.task
			);
			if (!waits() && isReady()) onAsk({ task });
		});
	}
	form.addEventListener("input", () => say(trouble, ""));
	prompt.addEventListener("keydown", (event) => {
		if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
		event.preventDefault();
		if (!waits()) form.requestSubmit();
	});
	addEventListener("keydown", (event) => {
		if (event.key === "Escape" && isBusy) onStop();
	});
}

/** Whether an answer must end first, which the user is told. */
function waits() {
	if (isBusy)
		say(trouble, "Wait for the answer, or stop it: Escape, or the button.");
	return isBusy;
}
