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

/**
 * The part of a job that this page has received, from which it resumes.
 * @typedef {object} Received
 * @property {string | null} id
 * @property {number} seq the sequence number of the last event
 * @property {string} text
 * @property {string | null} requestId of the latest response
 */

/** @returns {Received} */
export const nothingReceived = () => ({
	id: null,
	seq: 0,
	text: "",
	requestId: null,
});

/**
 * Creates the job unless it has an id, then follows it until `done`.
 * @param {Received} received updated with each event
 * @param {object} options
 * @param {string} options.key
 * @param {string} options.body the job request, JSON
 * @param {AbortSignal} options.signal
 * @param {(type: string, data: any) => void} options.onEvent called once for each event, in order
 * @param {() => void} options.onGap called when the connection is lost, before the next one
 * @returns {Promise<boolean | null>} whether the text matches the checksum in `done`; null if the
 * browser cannot compute it
 * @throws {Problem} if the API refuses the call, or the call that creates the job gets no response
 */
export async function follow(received, { key, body, signal, onEvent, onGap }) {
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
			const response = await open(received, key, body, either);
			received.requestId = response.headers.get("X-Request-Id");
			received.id ??=
				response.headers.get("Location")?.split("/").pop() ?? null;
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
				received.id ??= data.id ?? null;
				if (event.type === "token") received.text += data.text;
				onEvent(event.type, data);
				if (event.type === "done") {
					const hash = await sha256(new TextEncoder().encode(received.text));
					return hash === null ? null : hash === data.sha256;
				}
			}
		} catch (error) {
			signal.throwIfAborted();
			if (error instanceof Problem && isFinal(error, received)) throw error;
		} finally {
			clearTimeout(watchdog);
		}
		signal.throwIfAborted();
		if (!received.id)
			throw new Problem(
				"The connection broke before the first event came. Try again.",
				{ requestId: received.requestId },
			);
		onGap();
		await wait(Math.min(pause * 2 ** failures++, MAX_PAUSE_MS), signal);
	}
}

/**
 * @param {Received} received
 * @param {string} key
 * @param {string} body
 * @param {AbortSignal} signal
 */
const open = (received, key, body, signal) =>
	received.id
		? call(`/v1/jobs/${received.id}/events`, key, {
				headers: {
					Accept: "text/event-stream",
					"Last-Event-ID": String(received.seq),
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

/**
 * Once the job is created, only a 4xx is final: network and server errors may pass.
 * @param {Problem} problem
 * @param {Received} received
 */
const isFinal = ({ status }, received) =>
	received.id === null || (status >= 400 && status < 500);

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
