// @ts-check
/**
 * What the question in the field usually costs, beside its button, before it is asked. Nothing
 * waits for it, and nothing is said where it is not to be had: asking says what is wrong.
 */
import { call } from "./http.js";
import { storedKey } from "./key.js";
import { element, say } from "./page.js";
import { usd } from "./usd.js";

/** While the user types, nobody is asked. */
const PAUSE_MS = 600;

const price = element("expected-price", HTMLElement);

/** @type {() => object | null} */
let nextRequest = () => null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let pause;
let latest = new AbortController();
/** The request whose price is shown; empty where none is. */
let shown = "";

/** @param {() => object | null} request the job that would be sent now; null where none can be */
export function watchExpectedPrice(request) {
	nextRequest = request;
	const form = element("ask", HTMLFormElement);
	form.addEventListener("input", expectAnew);
	form.addEventListener("change", expectAnew);
}

/** What would be sent has changed. */
export function expectAnew() {
	clearTimeout(pause);
	pause = setTimeout(() => void show(), PAUSE_MS);
}

async function show() {
	const key = storedKey();
	const request = nextRequest();
	const body = key && request ? JSON.stringify(request) : "";
	if (body === shown) return;
	latest.abort();
	latest = new AbortController();
	const { signal } = latest;
	shown = body;
	const words = body ? await expected(body, key ?? "", signal) : "";
	if (signal.aborted) return;
	if (words === "") shown = "";
	say(price, words);
}

/**
 * @param {string} body @param {string} key @param {AbortSignal} signal
 * @returns {Promise<string>} empty where there is no answer
 */
async function expected(body, key, signal) {
	try {
		const headers = { "Content-Type": "application/json" };
		const options = { method: "POST", headers, body, signal };
		const answer = await call("/v1/quotes", key, options);
		const quote = await answer.json();
		return `About ${usd(quote.expected)}, at most ${usd(quote.maximum)}`;
	} catch {
		return "";
	}
}
