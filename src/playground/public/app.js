// @ts-check
/**
 * The playground's form: it takes a key, a photo and a question, and shows the answer while the
 * model writes it.
 */
import * as answer from "./answer.js";
import { copy, curl } from "./curl.js";
import { follow, nothingReceived } from "./follow.js";
import { call, Problem } from "./http.js";
import {
	forgetKey,
	looksLikeKey,
	masked,
	storedKey,
	storeKey,
	takeKeyFromAddress,
} from "./key.js";
import { chosenModel, showModels } from "./models.js";
import { element, say } from "./page.js";
import { showPhoto, watchForPhotos } from "./photo.js";
import { upload } from "./upload.js";

const form = element("ask", HTMLFormElement);
const prompt = element("prompt", HTMLTextAreaElement);
const submitButton = element("go", HTMLButtonElement);
const formProblem = element("form-problem", HTMLElement);

// The key

const keyForm = element("key-form", HTMLFormElement);
const keyInput = element("key", HTMLInputElement);
const keyProblem = element("key-problem", HTMLElement);

/**
 * Shows the field for a key, or the stored key and its account's credit.
 * @param {string} [problem]
 */
function showKey(problem = "") {
	const key = storedKey();
	keyForm.hidden = key !== null;
	element("account", HTMLElement).hidden = key === null;
	say(keyProblem, problem);
	say(element("credit", HTMLElement), "");
	if (key === null) return;
	element("masked", HTMLElement).textContent = masked(key);
	void showCredit();
}

async function showCredit() {
	const key = storedKey();
	if (key === null) return;
	try {
		const account = await (await call("/v1/account", key)).json();
		if (key === storedKey())
			say(
				element("credit", HTMLElement),
				`${answer.usd(account.balance.available)} left`,
			);
	} catch (error) {
		if (error instanceof Problem && error.status === 401)
			refuseKey(error.message);
	}
}

/** @param {string} problem */
function refuseKey(problem) {
	forgetKey();
	showKey(problem);
	keyInput.focus();
}

/** Sends the photo again, because the new key may belong to another account. */
function keyChanged() {
	showKey();
	showCommand();
	if (photo) choose(photo.file);
}

keyForm.addEventListener("submit", (event) => {
	event.preventDefault();
	const key = keyInput.value.trim();
	if (!looksLikeKey(key)) {
		say(
			keyProblem,
			key === ""
				? "Paste a key first."
				: "This is not a whole key. Copy it from mg_live_ to its end.",
		);
		keyInput.focus();
		return;
	}
	keyInput.value = "";
	storeKey(key);
	keyChanged();
	element("file", HTMLInputElement).focus();
});

element("forget", HTMLButtonElement).addEventListener("click", () => {
	forgetKey();
	showKey();
	showCommand();
	keyInput.focus();
});

addEventListener("hashchange", () => {
	if (takeKeyFromAddress()) keyChanged();
});

// The photo

/**
 * @typedef {object} Photo
 * @property {File} file
 * @property {AbortController} stop
 * @property {string | null} id of its finished upload
 * @property {Promise<void> | null} sending settles, never rejects
 */
/** @type {Photo | null} */
let photo = null;

const photoLine = element("photo-line", HTMLElement);
const photoWords = element("photo-words", HTMLElement);
const photoProblem = element("photo-problem", HTMLElement);
const progress = element("progress", HTMLProgressElement);

/** @param {number} bytes */
const size = (bytes) =>
	bytes < 1024 * 1024
		? `${Math.max(1, Math.round(bytes / 1024))} KB`
		: `${(bytes / 1024 / 1024).toFixed(1)} MB`;

/** @param {File} file */
function choose(file) {
	photo?.stop.abort();
	photo = { file, stop: new AbortController(), id: null, sending: null };
	showPhoto(file);
	say(photoProblem, "");
	say(formProblem, "");
	photoLine.hidden = false;
	photoWords.textContent =
		storedKey() === null
			? `${file.name} · sent once there is a key`
			: file.name;
	showCommand();
	sendPhoto(photo);
}

/**
 * Uploads the photo as soon as it is chosen, so that the question does not wait for it.
 * @param {Photo} chosen
 */
function sendPhoto(chosen) {
	const key = storedKey();
	if (key === null || chosen.sending !== null) return;
	chosen.sending = (async () => {
		progress.value = 0;
		progress.hidden = false;
		try {
			const done = await upload(chosen.file, key, {
				signal: chosen.stop.signal,
				onProgress: (share) => {
					if (photo !== chosen) return;
					progress.value = share;
					photoWords.textContent = `${chosen.file.name} · sending, ${Math.round(share * 100)} %`;
				},
			});
			if (photo !== chosen) return;
			chosen.id = done.id;
			photoWords.textContent = [
				chosen.file.name,
				size(chosen.file.size),
				done.width && `${done.width} × ${done.height}`,
			]
				.filter(Boolean)
				.join(" · ");
		} catch (error) {
			if (photo !== chosen) return;
			chosen.sending = null;
			photoFailed(problemOf(error));
		} finally {
			if (photo === chosen || photo === null) progress.hidden = true;
			showCommand();
		}
	})();
}

/** @param {Problem} problem */
function photoFailed(problem) {
	if (problem.status === 401) return refuseKey(problem.message);
	const words = [problem.message, problem.requestId]
		.filter(Boolean)
		.join(" · ");
	say(photoProblem, words);
	// If the photo itself is at fault, the user must choose another one; otherwise the next question
	// sends it again.
	const atFault =
		(problem.status >= 400 && problem.status < 500) ||
		problem.code.startsWith("image_");
	photoWords.textContent = `${photo?.file.name} · not sent`;
	if (!atFault) return;
	photo = null;
	showPhoto(null);
	photoLine.hidden = true;
}

watchForPhotos(choose);

// The question

/** The job that the form describes. Empty fields are left out, so that the API's defaults apply. */
function job() {
	const fields = new FormData(form);
	const task = fields.get("task");
	const model = chosenModel();
	/** @type {Record<string, unknown>} */
	const request = {
		...(model && { model }),
		images: [{ upload: photo?.id ?? "img_…" }],
		...(task ? { task } : { prompt: prompt.value.trim() }),
	};
	for (const name of ["max_tokens", "temperature", "seed"]) {
		const value = fields.get(name);
		if (value !== "") request[name] = Number(value);
	}
	return request;
}

const FIELD_PROBLEMS = {
	max_tokens: "The longest answer is a whole number of tokens from 1 to 2,048.",
	temperature: "The temperature is a number from 0 to 2.",
	seed: "The seed is a whole number from 0 to 4,294,967,295.",
};

/**
 * The first problem of the form, and the element that the user must change.
 * @returns {[string, HTMLElement] | null}
 */
function formObstacle() {
	if (storedKey() === null) return ["Paste your API key first.", keyInput];
	if (photo === null)
		return ["Choose a photo first.", element("file", HTMLInputElement)];
	for (const [name, words] of Object.entries(FIELD_PROBLEMS)) {
		const input = /** @type {HTMLInputElement} */ (
			form.elements.namedItem(name)
		);
		if (input.validity.valid) continue;
		/** @type {HTMLDetailsElement} */ (input.closest("details")).open = true;
		return [words, input];
	}
	if (!new FormData(form).get("task") && prompt.value.trim() === "")
		return ["Write a question first, or choose a task.", prompt];
	return null;
}

const command = element("command", HTMLElement);
const copyCommand = element("copy-command", HTMLButtonElement);

function showCommand() {
	const key = storedKey();
	const ready = key !== null && photo !== null && photo.id !== null;
	command.hidden = copyCommand.hidden = !ready;
	element("command-hint", HTMLElement).hidden = ready;
	if (ready) command.textContent = curl(location.origin, masked(key), job());
}

copyCommand.addEventListener("click", async () => {
	const key = storedKey();
	if (key === null) return;
	const copied = await copy(curl(location.origin, key, job()));
	copyCommand.textContent = copied ? "Copied with your key" : "Not copied";
	element("said", HTMLElement).textContent = copyCommand.textContent;
	setTimeout(() => {
		copyCommand.textContent = "Copy";
	}, 2000);
});

/** @type {Record<string, string>} */
const TASKS = {
	describe: "It tells in detail what it sees.",
	story: "It tells a short story about the photo.",
	poem: "It writes a short poem about the photo.",
	recipe: "It writes a recipe for the dish in the photo.",
	website:
		"It writes a web page about the photo, shown as source and as a page.",
	humour: "It explains what could be funny about the photo.",
	advertisement: "It advertises what the photo shows.",
};

form.addEventListener("input", () => {
	const task = String(new FormData(form).get("task"));
	const isQuestion = task === "";
	element("question", HTMLElement).hidden = !isQuestion;
	say(element("task-words", HTMLElement), TASKS[task] ?? "");
	if (!following) submitButton.textContent = isQuestion ? "Ask" : "Write";
	say(formProblem, "");
	showCommand();
});

prompt.addEventListener("keydown", (event) => {
	if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
	event.preventDefault();
	if (!following) form.requestSubmit();
});

// The answer

/**
 * @typedef {object} Following
 * @property {AbortController} stop
 * @property {import("./follow.js").Received} received
 * @property {string} body
 * @property {boolean} website
 * @property {string | null} model null if the deployment serves only one
 * @property {string} key
 * @property {number} asked `performance.now()` when the user asked
 * @property {number | null} first `performance.now()` at the first token
 * @property {number} last `performance.now()` at the last token so far
 * @property {any} usage
 * @property {any} end the data of the terminal event
 */
/** @type {Following | null} */
let following = null;
/** @type {Following | null} */
let stopped = null;

form.addEventListener("submit", (event) => {
	event.preventDefault();
	if (following) following.stop.abort();
	else void ask();
});

element("again", HTMLButtonElement).addEventListener("click", () => {
	if (!stopped) return;
	submitButton.focus();
	void run({ ...stopped, stop: new AbortController() });
});

async function ask() {
	const problem = formObstacle();
	say(formProblem, problem ? problem[0] : "");
	if (problem) return problem[1].focus();
	const key = /** @type {string} */ (storedKey());
	const chosen = /** @type {Photo} */ (photo);
	/** @type {Following} */
	const next = {
		stop: new AbortController(),
		received: nothingReceived(),
		body: "",
		website: new FormData(form).get("task") === "website",
		model: chosenModel(),
		key,
		asked: performance.now(),
		first: null,
		last: 0,
		usage: null,
		end: null,
	};
	answer.begin(next.website);
	if (chosen.id === null) {
		following = next;
		submitButton.textContent = "Stop";
		answer.show("waiting", "Sending the photo");
		say(photoProblem, "");
		sendPhoto(chosen);
		await chosen.sending;
		following = null;
		if (chosen.id === null || next.stop.signal.aborted) {
			form.dispatchEvent(new Event("input"));
			return answer.show("empty", "");
		}
	}
	next.body = JSON.stringify(job());
	next.asked = performance.now();
	await run(next);
}

/** @param {Following} job */
async function run(job) {
	following = job;
	stopped = null;
	submitButton.textContent = "Stop following";
	answer.show(
		job.received.text === "" ? "waiting" : "writing",
		job.received.id ? "Following again" : "Asking",
	);
	try {
		const verified = await follow(job.received, {
			key: job.key,
			body: job.body,
			signal: job.stop.signal,
			onEvent: (type, data) => onEvent(job, type, data),
			onGap: () =>
				answer.show(
					"waiting",
					"Connection lost. The job continues, and so will the text",
				),
		});
		finish(job, verified);
	} catch (error) {
		if (job.stop.signal.aborted) {
			stopped = job.received.id ? job : null;
			answer.show(
				"stopped",
				stopped ? "Stopped following. The job continues." : "Stopped.",
			);
			element("again", HTMLElement).hidden = stopped === null;
		} else failed(job, problemOf(error));
	} finally {
		following = null;
		form.dispatchEvent(new Event("input"));
		void showCredit();
	}
}

/** @type {Record<string, string>} */
const WAITING = {
	"job.queued": "Queued, waiting for a free place",
	"job.provisioning": "Starting the model. The first answer waits for it",
	"job.running": "Looking at the photo",
	"job.retrying":
		"The model was interrupted; it continues from where it stopped",
};

/** @param {Following} job @param {string} type @param {any} data */
function onEvent(job, type, data) {
	if (WAITING[type]) answer.show("waiting", WAITING[type]);
	else if (type === "token") {
		job.last = performance.now();
		job.first ??= job.last;
		answer.write(data.text);
		answer.show("writing", `Writing · first token after ${seconds(job)}`);
	} else if (type === "usage") job.usage = data;
	else if (type.startsWith("job.")) job.end = data;
}

/** @param {Following} job */
const seconds = ({ asked, first }) =>
	`${(((first ?? asked) - asked) / 1000).toFixed(2)} s`;

/** @param {Following} job @param {boolean | null} verified */
function finish(job, verified) {
	const end = job.end ?? {};
	if (end.status !== "succeeded") {
		const problem = new Problem(
			end.error?.message ?? `The job ended: ${end.status}.`,
			{
				code: end.error?.code ?? end.status,
				requestId: job.received.requestId,
			},
		);
		return failed(job, problem);
	}
	if (verified === false)
		return failed(
			job,
			new Problem(
				"The text does not match the checksum of the job's log. " +
					"Ask again, or read the job from the API.",
				{ code: "checksum_mismatch", requestId: job.received.requestId },
			),
		);
	const tokens = job.usage?.output_tokens ?? 0;
	const writingSeconds = (job.last - (job.first ?? job.last)) / 1000;
	/** @type {[string, string][]} */
	const facts = [
		["Tokens", `${tokens}`],
		["First token", seconds(job)],
	];
	if (tokens > 1 && writingSeconds > 0) {
		const speed = (tokens - 1) / writingSeconds;
		facts.push(["Speed", `${speed.toFixed(1)} tokens/s`]);
	}
	if (typeof end.price === "number")
		facts.push(["Price", answer.usd(end.price)]);
	if (job.model) facts.push(["Model", job.model]);
	facts.push(["Job", job.received.id ?? ""]);
	answer.showFacts(facts);
	if (job.website) answer.previewWebsite();
	const whole = verified ? "Complete and verified" : "Complete";
	answer.show(
		"done",
		end.finish_reason === "length" ? `${whole}, cut at the token limit` : whole,
	);
}

/** @param {Following} job @param {Problem} problem */
function failed(job, problem) {
	if (problem.status === 401) refuseKey(problem.message);
	// The upload no longer exists, so the next question sends the photo again.
	if (problem.field?.startsWith("images") && photo) {
		photo.id = null;
		photo.sending = null;
	}
	answer.showProblem(
		problem.message,
		[problem.code, job.received.id ?? "", problem.requestId ?? ""].filter(
			Boolean,
		),
	);
	answer.show("failed", "That did not work");
}

/** @param {unknown} error @returns {Problem} */
function problemOf(error) {
	if (error instanceof Problem) return error;
	console.error(error);
	return new Problem("This page made a mistake. Reload it and try again.", {
		code: "page_error",
	});
}

takeKeyFromAddress();
showKey();
answer.show("empty", "");
void showModels(showCommand);
