// @ts-check
/** Follows a job's events to the last one, and reconnects as often as needed. */
import { readEvents } from "./events.js";
import { call, Problem } from "./http.js";
import { sha256 } from "./sha256.js";

/**
 * The server pings every 10 s. After two missed pings the connection is dead, even without an
 * error.
 */
const SILENCE_MS = 25_000;
const MAX_PAUSE_MS = 8_000;

/** Attempts in a row to send a job when no answer comes. */
const MAX_ATTEMPTS = 5;

/**
 * The part of a job that this page has received, from which it resumes.
 * @typedef {object} Received
 * @property {string} id of the job, chosen by the page
 * @property {boolean} accepted whether the API has the job
 * @property {number} seq the sequence number of the last event
 * @property {string} description what the model sees, where it says so before it does a task
 * @property {string} text
 * @property {string | null} requestId of the latest response
 */

/**
 * Sends the job unless the API has it, then follows it until `done`.
 * @param {Received} received updated with each event
 * @param {object} options
 * @param {string} options.key
 * @param {object} options.request the job
 * @param {AbortSignal} options.signal
 * @param {() => void} options.onAccepted called once the API has the job
 * @param {(type: string, data: any) => void} options.onEvent called once for each event, in order
 * @param {() => void} options.onGap called when the connection is lost, before the next one
 * @returns {Promise<boolean | null>} whether the text matches the checksum in `done`; null if the
 * browser cannot compute it
 * @throws {Problem} if the API refuses the call, or cannot be reached to send the job
 */
export async function follow(
	received,
	{ key, request, signal, onAccepted, onEvent, onGap },
) {
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
			const response = await open(received, key, request, either);
			received.requestId = response.headers.get("X-Request-Id");
			received.accepted = true;
			onAccepted();
			if (!response.body) throw new Problem("The answer came without a body.");
			for await (const event of readEvents(response.body, {
				onBytes: alive,
				onRetry: (ms) => {
					pause = ms;
				},
			})) {
				const seq = Number(event.id);
				if (seq <= received.seq) continue;
				received.seq = seq;
				failures = 0;
				const data = JSON.parse(event.data);
				if (event.type === "token") received.text += data.text;
				if (event.type === "description") received.description += data.text;
				onEvent(event.type, data);
				if (event.type === "done") {
					const hash = await sha256(new TextEncoder().encode(received.text));
					return hash === null ? null : hash === data.sha256;
				}
			}
		} catch (error) {
			signal.throwIfAborted();
			if (error instanceof Problem && isFinal(error, received, failures))
				throw error;
		} finally {
			clearTimeout(watchdog);
		}
		signal.throwIfAborted();
		onGap();
		await wait(Math.min(pause * 2 ** failures++, MAX_PAUSE_MS), signal);
		signal.throwIfAborted();
	}
}

/**
 * The page chose the job's id, so a job that is sent twice runs and costs once.
 * @param {Received} received
 * @param {string} key
 * @param {object} request
 * @param {AbortSignal} signal
 */
const open = ({ id, accepted, seq }, key, request, signal) =>
	accepted
		? call(`/v1/jobs/${id}/events`, key, {
				headers: {
					Accept: "text/event-stream",
					"Last-Event-ID": String(seq),
				},
				signal,
			})
		: call(`/v1/jobs/${id}`, key, {
				method: "PUT",
				headers: {
					Accept: "text/event-stream",
					"Content-Type": "application/json",
				},
				body: JSON.stringify(request),
				signal,
			});

/**
 * Once the API has the job, network and server errors may pass, and so does 429. Before that, only
 * a lack of an answer may.
 * @param {Problem} problem
 * @param {Received} received
 * @param {number} failures in a row
 */
const isFinal = ({ status }, { accepted }, failures) =>
	accepted
		? status >= 400 && status < 500 && status !== 429
		: status > 0 || failures >= MAX_ATTEMPTS;

/** Waits for `ms`, or until the network is back. @param {number} ms @param {AbortSignal} signal */
const wait = (ms, signal) =>
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
