// @ts-check
/** Follows the job of a turn to its end, and shows the answer while the model writes it. */
import { follow } from "./follow.js";
import { Problem } from "./http.js";
import { stayAtEnd } from "./scroll.js";
import { exactUsd, usd } from "./usd.js";
import { holdsPage } from "./website.js";

/** @import { Turn } from "./conversation.js" */
/** @import { TurnView } from "./turn-view.js" */

/** What is measured of an answer as it comes. */
const newClock = () => ({
	sent: performance.now(),
	/** @type {number | null} at the first token */
	first: null,
	/** at the last token so far */
	last: 0,
});

/** @type {Record<string, string>} */
const WAITING = {
	"job.queued": "Queued, waiting for a free place",
	"job.provisioning": "Starting the model. The first answer waits for it",
	"job.running": "Looking at the photo",
	"job.retrying":
		"The model was interrupted; it continues from where it stopped",
};

/** @type {Record<string, string>} */
const CUT = {
	length: ", cut at the token limit",
	budget: ", cut at its price limit",
};

/** @param {Turn} turn */
export const isWebsite = ({ question }) =>
	"task" in question && question.task === "website";

/**
 * Resolves once the turn has ended well: its `end` is set, and the view shows all.
 * @param {Turn} turn updated as its job goes on
 * @param {TurnView} view
 * @param {object} options
 * @param {string} options.key
 * @param {AbortSignal} options.signal
 * @param {() => boolean} options.isStopping whether the user stopped the answer
 * @param {() => void} options.onAccepted called once the API has the job
 * @param {() => void} options.onGap called when the connection is lost, before the next one
 * @throws {Problem} also where the job failed
 */
export async function showAnswer(
	turn,
	view,
	{ key, signal, isStopping, onAccepted, onGap },
) {
	const clock = newClock();
	// Only then does the page know when it was asked.
	const isNew = !turn.accepted;
	/** @type {any} */
	let usage = null;
	/** @type {any} */
	let terminal = null;
	/** @param {"waiting" | "writing"} state @param {string} words */
	const show = (state, words) =>
		view.show(state, isStopping() ? "Stopping" : words);

	const isWhole = await follow(turn, {
		key,
		signal,
		request: turn.request ?? {},
		onAccepted,
		onEvent(type, data) {
			if (WAITING[type]) show("waiting", WAITING[type]);
			else if (type === "description") {
				stayAtEnd(() => view.writeDescription(data.text));
				show("writing", "Saying what it sees");
			} else if (type === "token") {
				clock.last = performance.now();
				clock.first ??= clock.last;
				stayAtEnd(() => view.write(data.text));
				const after = `Writing · first token after ${untilFirst(clock)}`;
				show("writing", isNew ? after : "Writing");
			} else if (type === "usage") usage = data;
			else if (type.startsWith("job.")) terminal = data;
		},
		onGap() {
			onGap();
			show("waiting", "Connection lost. The answer goes on by itself");
		},
	});

	if (isWhole === false)
		throw new Problem(
			"The text does not match the checksum of the job's log. Try again to read it once more.",
			{ code: "checksum_mismatch", requestId: turn.requestId },
		);
	const { status, price, price_parts = [], error, finish_reason } = terminal;
	const isGood = status === "succeeded" || status === "canceled";
	turn.end = isGood ? status : "failed";
	stayAtEnd(() => {
		const facts = [
			...priceFacts(price_parts),
			...factsOf(turn, usage?.output_tokens ?? 0, isNew && clock),
		];
		view.showFacts(typeof price === "number" ? usd(price) : "", facts);
		if (status === "canceled") view.show("stopped", "Stopped");
		if (status !== "succeeded") return;
		if (isWebsite(turn) || holdsPage(turn.text)) view.previewWebsite();
		const whole = isWhole ? "Complete and verified" : "Complete";
		view.show("done", `${whole}${CUT[finish_reason] ?? ""}`);
	});
	if (!isGood)
		throw new Problem(error?.message ?? `The job ended: ${status}.`, {
			code: error?.code ?? status,
			field: error?.field,
			requestId: turn.requestId,
		});
}

/** @param {ReturnType<typeof newClock>} clock */
const untilFirst = ({ sent, first }) =>
	`${(((first ?? sent) - sent) / 1000).toFixed(2)} s`;

/** @type {Record<string, string>} */
const ITEMS = {
	prompt_tokens: "Prompt tokens",
	output_tokens: "Output tokens",
	images: "Photos",
};

/**
 * What the price consists of.
 * @param {{ item: string, quantity: number, amount: string }[]} parts
 * @returns {[name: string, value: string][]}
 */
const priceFacts = (parts) =>
	parts.map(({ item, quantity, amount }) => [
		ITEMS[item] ?? item,
		`${quantity} · ${exactUsd(amount)}`,
	]);

/**
 * @param {Turn} turn @param {number} tokens
 * @param {ReturnType<typeof newClock> | false} clock
 */
function factsOf({ id, request }, tokens, clock) {
	/** @type {[name: string, value: string][]} */
	const facts = [["Tokens", `${tokens}`]];
	if (clock && clock.first !== null) {
		facts.push(["First token", untilFirst(clock)]);
		const seconds = (clock.last - clock.first) / 1000;
		if (tokens > 1 && seconds > 0)
			facts.push(["Speed", `${((tokens - 1) / seconds).toFixed(1)} tokens/s`]);
	}
	if (request?.model) facts.push(["Model", request.model]);
	facts.push(["Job", id]);
	return facts;
}
