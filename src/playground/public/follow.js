// @ts-check
/** A job's events to the last, over as many connections as it takes. */
import { readEvents } from "./events.js";
import { call, Problem } from "./http.js";
import { sha256 } from "./sha256.js";

/** Two missed pings and a little: the connection is dead although nobody said so. */
const SILENCE_MS = 25_000;
const LONGEST_PAUSE_MS = 8_000;

/**
 * What is known of a job so far; following goes on from it.
 * @typedef {object} Known
 * @property {string | null} id
 * @property {number} seq sequence number of the last event seen
 * @property {string} text
 * @property {string | null} requestId of the latest answer
 */

/** @returns {Known} */
export const nothingKnown = () => ({
	id: null,
	seq: 0,
	text: "",
	requestId: null,
});

/**
 * Creates the job if it has no id yet, then follows it until `done`.
 * @param {Known} known kept up to date
 * @param {object} options
 * @param {string} options.key
 * @param {string} options.body the job request, JSON
 * @param {AbortSignal} options.signal
 * @param {(type: string, data: any) => void} options.onEvent each event once, in order
 * @param {() => void} options.onGap the connection is lost; another is coming
 * @returns {Promise<boolean | null>} whether the text is the one that the log's checksum was made from; null where that cannot be told
 * @throws {Problem} on a refusal, and when creating the job got no answer
 */
export async function follow(known, { key, body, signal, onEvent, onGap }) {
	let pause = 500;
	let failures = 0;
	for (;;) {
		const connection = new AbortController();
		const either = AbortSignal.any([signal, connection.signal]);
		let watchdog = 0;
		const alive = () => {
			clearTimeout(watchdog);
			watchdog = setTimeout(() => connection.abort(), SILENCE_MS);
		};
		try {
			alive();
			const response = await open(known, key, body, either);
			known.requestId = response.headers.get("X-Request-Id");
			known.id ??= response.headers.get("Location")?.split("/").pop() ?? null;
			if (!response.body) throw new Problem("The answer came without a body.");
			for await (const event of readEvents(response.body, {
				onBytes: alive,
				onRetry: (ms) => {
					pause = ms;
				},
			})) {
				const seq = Number(event.id);
				if (seq <= known.seq) continue;
				known.seq = seq;
				failures = 0;
				const data = JSON.parse(event.data);
				known.id ??= data.id ?? null;
				if (event.type === "token") known.text += data.text;
				onEvent(event.type, data);
				if (event.type === "done") {
					const hash = await sha256(new TextEncoder().encode(known.text));
					return hash === null ? null : hash === data.sha256;
				}
			}
		} catch (error) {
			signal.throwIfAborted();
			if (error instanceof Problem && isFinal(error, known)) throw error;
		} finally {
			clearTimeout(watchdog);
		}
		signal.throwIfAborted();
		if (!known.id)
			throw new Problem(
				"The connection broke before the first event came. Try again.",
				{ requestId: known.requestId },
			);
		onGap();
		await rest(Math.min(pause * 2 ** failures++, LONGEST_PAUSE_MS), signal);
	}
}

/** @param {Known} known @param {string} key @param {string} body @param {AbortSignal} signal */
const open = (known, key, body, signal) =>
	known.id
		? call(`/v1/jobs/${known.id}/events`, key, {
				headers: {
					Accept: "text/event-stream",
					"Last-Event-ID": String(known.seq),
				},
				signal,
			})
		: call("/v1/jobs", key, {
				method: "POST",
				headers: {
					Accept: "text/event-stream",
					"Content-Type": "application/json",
				},
				body,
				signal,
			});

/** A refusal is final; silence and a server in trouble are not, once the job is known. @param {Problem} problem @param {Known} known */
const isFinal = ({ status }, known) =>
	known.id === null || (status >= 400 && status < 500);

/** Waits, but not past the moment at which the network is back. @param {number} ms @param {AbortSignal} signal */
const rest = (ms, signal) =>
	new Promise((resolve) => {
		const end = () => {
			clearTimeout(timer);
			removeEventListener("online", end);
			signal.removeEventListener("abort", end);
			resolve(undefined);
		};
		const timer = setTimeout(end, ms);
		addEventListener("online", end);
		signal.addEventListener("abort", end);
	});
