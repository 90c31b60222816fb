// @ts-check
/** The conversation on the page: asks, stops, asks again, and comes back after a reload. */
import { refuseKey, showCredit } from "./account.js";
import { isWebsite, showAnswer } from "./answering.js";
import {
	bringBackPhoto,
	forgetUpload,
	sentPhoto,
	uploadedPhoto,
} from "./chosen-photo.js";
import * as composer from "./composer.js";
import { chatRequest, jobRequest, newTurn, wordsOf } from "./conversation.js";
import { call, Problem, problemOf } from "./http.js";
import { masked, storedKey } from "./key.js";
import { defaultModel } from "./models.js";
import { announce, element } from "./page.js";
import { scrollToEnd, stayAtEnd } from "./scroll.js";
import {
	forgetConversation,
	storeConversation,
	storedConversation,
} from "./stored-conversation.js";
import { TurnView } from "./turn-view.js";

/** @import { Question, Turn } from "./conversation.js" */

/** @typedef {{ turn: Turn, view: TurnView }} Shown */

/**
 * A turn whose answer is on its way.
 * @typedef {object} Running
 * @property {Shown} shown
 * @property {AbortController} leave ends the reading, not the job
 * @property {boolean} isStopping
 */

const list = element("turns", HTMLOListElement);
const newConversation = element("new-conversation", HTMLButtonElement);

/** @type {Shown[]} */
let conversation = [];
/** @type {Running | null} */
let running = null;

const currentKey = () => storedKey() ?? "";

/** @param {Shown} shown */
const turnsBefore = (shown) =>
	conversation.slice(0, conversation.indexOf(shown)).map(({ turn }) => turn);

function store() {
	const photo = sentPhoto() ?? storedConversation()?.photo;
	const turns = conversation
		.map(({ turn }) => turn)
		.filter(({ request }) => request !== null);
	if (photo && turns.length > 0)
		storeConversation({ key: masked(currentKey()), photo, turns });
	else forgetConversation();
}

/** @param {Turn} turn @returns {Shown} */
function showTurn(turn) {
	/** @type {Shown} */
	const shown = {
		turn,
		view: new TurnView(wordsOf(turn.question), isWebsite(turn), {
			onAskAgain: () => askAgain(shown),
			onTryAgain: () => tryAgain(shown),
			onEdit: () => edit(shown),
			call: () => ({
				origin: location.origin,
				job: turn.request ?? {},
				chat: chatRequest(turnsBefore(shown), turn, defaultModel()),
			}),
		}),
	};
	return shown;
}

/** The job that asks what is in the field now; null where it cannot be asked yet. */
export function nextRequest() {
	const question = composer.question();
	const photo = sentPhoto();
	if (running || question === null || photo === null) return null;
	const turns = conversation.map(({ turn }) => turn);
	return jobRequest(turns, question, photo.upload, composer.settings());
}

function showWhetherTalking() {
	const isTalking = conversation.length > 0;
	document.body.toggleAttribute("data-talking", isTalking);
	newConversation.hidden = !isTalking;
}

/** @param {Question} question */
export function ask(question) {
	const shown = showTurn(newTurn(question));
	conversation.push(shown);
	list.append(shown.view.root);
	showWhetherTalking();
	void begin(shown);
}

/** A new job with the same question in place of the last turn. @param {Shown} shown */
function askAgain(shown) {
	if (running || !composer.isReady()) return;
	const next = showTurn(newTurn(shown.turn.question));
	shown.view.root.replaceWith(next.view.root);
	conversation[conversation.indexOf(shown)] = next;
	composer.focusButton();
	void begin(next);
}

/** The same job once more, from its first event. @param {Shown} shown */
function tryAgain(shown) {
	if (running) return;
	shown.turn.seq = 0;
	shown.turn.description = shown.turn.text = "";
	shown.view.begin();
	composer.focusButton();
	void run(shown, start(shown));
}

/** @param {Shown} shown */
function edit(shown) {
	drop(shown);
	composer.edit(wordsOf(shown.turn.question));
}

/** Takes a turn out of the conversation. @param {Shown} shown */
function drop(shown) {
	conversation = conversation.filter((each) => each !== shown);
	shown.view.root.remove();
	store();
	showWhetherTalking();
}

/** Sends a new turn, and the photo before it where it is not sent yet. @param {Shown} shown */
async function begin(shown) {
	const { turn, view } = shown;
	const started = start(shown);
	announce("The question is sent");
	scrollToEnd();
	if (!sentPhoto()) view.show("waiting", "Sending the photo");
	turn.upload = await uploadedPhoto();
	if (started !== running) return; // stopped, another photo, or a new conversation
	if (turn.upload === null) {
		end();
		return edit(shown); // the photo says what is wrong
	}
	const { question, upload } = turn;
	const settings = composer.settings();
	turn.request = jobRequest(turnsBefore(shown), question, upload, settings);
	store();
	await run(shown, started);
}

/** @param {Shown} shown @returns {Running} */
function start(shown) {
	running = { shown, leave: new AbortController(), isStopping: false };
	composer.showBusy(true);
	return running;
}

function end() {
	running = null;
	composer.showBusy(false);
}

/** @param {Shown} shown @param {Running} started */
async function run(shown, started) {
	const wasOver = shown.turn.end !== null;
	const problem = await read(shown, started);
	if (running === started) {
		end();
		if (!wasOver) announce(problem ? spokenProblem(problem) : spoken(shown));
	}
	store();
	void showCredit();
}

/**
 * Shows the answer, or why there is none.
 * @param {Shown} shown @param {Running} started
 * @returns {Promise<Problem | null>}
 */
async function read(shown, started) {
	const { turn, view } = shown;
	const { leave } = started;
	view.wasSent();
	try {
		if (turn.refusal) {
			const problem = new Problem(turn.refusal.words, turn.refusal);
			showProblem(shown, problem);
			return problem;
		}
		await showAnswer(turn, view, {
			key: currentKey(),
			signal: leave.signal,
			isStopping: () => started.isStopping,
			onAccepted() {
				store();
				if (started.isStopping) void cancel(started);
			},
			onGap() {
				if (started.isStopping && !turn.accepted) leave.abort(UNSENT);
			},
		});
		return null;
	} catch (error) {
		const problem = problemOf(error);
		fail(shown, problem);
		return problem;
	}
}

const UNSENT = new Problem("It was stopped before the server answered.", {
	code: "stopped",
});

/** The answer as it is read aloud: as a whole, once it is. @param {Shown} shown */
function spoken({ turn }) {
	if (turn.end === "canceled") return `Stopped. ${turn.text}`;
	if (!isWebsite(turn)) return `Answer: ${turn.text}`;
	return "The answer is a web page, shown as source and as a preview.";
}

/** @param {Problem} problem */
const spokenProblem = ({ message }) => `That did not work. ${message}`;

/** @param {Shown} shown @param {Problem} problem */
function fail(shown, problem) {
	const { turn } = shown;
	const { message, status, code, field, requestId } = problem;
	if (!turn.accepted && status > 0) {
		turn.end = "failed";
		turn.refusal = { words: message, status, code, field, requestId };
	} else if (status === 404 || status === 410) turn.end = "failed";
	if (status === 401) refuseKey(message);
	// No later turn can continue that job either: the next one sends the whole conversation.
	if (field === "previous_job")
		for (const { turn: each } of conversation)
			each.gone ||= each.id === turn.request?.previous_job;
	// The upload no longer exists, so the next question sends the photo again.
	if (field?.startsWith("images") || code === "image_gone") forgetUpload();
	showProblem(shown, problem);
}

/** @param {Shown} shown @param {Problem} problem */
function showProblem({ turn, view }, { message, code, requestId = "" }) {
	const job = turn.accepted ? turn.id : "";
	const ids = [code, job, requestId].filter(Boolean);
	stayAtEnd(() => view.showProblem(message, ids, turn.end !== "failed"));
}

/** Cancels the job whose answer is on its way: it costs what it wrote. */
export function stop() {
	if (!running || running.isStopping) return;
	const { shown } = running;
	if (shown.turn.request === null) {
		end();
		return edit(shown);
	}
	running.isStopping = true;
	shown.view.show(shown.turn.text === "" ? "waiting" : "writing", "Stopping");
	// A job that the API does not have yet is canceled once it has it.
	if (shown.turn.accepted) void cancel(running);
}

/** @param {Running} stopping */
async function cancel(stopping) {
	const { turn, view } = stopping.shown;
	try {
		await call(`/v1/jobs/${turn.id}/cancel`, currentKey(), { method: "POST" });
	} catch (error) {
		if (running !== stopping) return;
		stopping.isStopping = false;
		view.show("writing", `Not stopped: ${problemOf(error).message}`);
	}
}

/** Forgets the conversation. A job that still runs is canceled. */
export function startAfresh() {
	if (running?.shown.turn.request) stop();
	end();
	conversation = [];
	list.replaceChildren();
	store();
	showWhetherTalking();
	composer.offerFirstQuestion();
}

/** The jobs so far may be another account's, so the next turn sends the whole conversation. */
export function keyChanged() {
	for (const { turn } of conversation) turn.gone = true;
}

/** Brings back the conversation of before a reload, and follows what is on its way. */
export async function bringBack() {
	const stored = storedConversation();
	if (stored?.key !== masked(currentKey())) return forgetConversation();
	conversation = stored.turns.map(showTurn);
	list.append(...conversation.map(({ view }) => view.root));
	showWhetherTalking();
	composer.clear();
	const last = /** @type {Shown} */ (conversation.at(-1));
	const reading = start(last);
	await Promise.all([
		bringBackPhoto(stored.photo.upload, stored.photo.name),
		...conversation.slice(0, -1).map((shown) => read(shown, reading)),
	]);
	if (running !== reading) return;
	scrollToEnd();
	await run(last, reading);
}
