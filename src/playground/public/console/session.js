// @ts-check
/**
 * The session: the browser's cookie has one half of it, this page's storage the other. Calls need
 * both.
 *
 * Runs in the browser, as all of console/ does.
 */
import { Problem, problemIn } from "../http.js";
import { sha256 } from "../sha256.js";

const STORED = "console-token";

/** The page's half. A new one is made for each sign-in. */
const storedToken = () => localStorage.getItem(STORED) ?? "";

function newToken() {
	const token = Array.from(crypto.getRandomValues(new Uint8Array(32)), (byte) =>
		byte.toString(16).padStart(2, "0"),
	).join("");
	localStorage.setItem(STORED, token);
	return token;
}

/**
 * Calls the API as the account that is signed in.
 * @param {string} path such as `/v1/account`
 * @param {{ method?: string, json?: object }} [options]
 * @returns {Promise<any>} the body; null where there is none
 * @throws {Problem}
 */
export const call = (path, options) => request(`/console${path}`, options);

/**
 * Saves what the API answers as a file.
 * @param {string} path @param {string} type @param {string} name
 */
export async function download(path, type, name) {
	const response = await send(`/console${path}`, { headers: { Accept: type } });
	const link = document.createElement("a");
	link.href = URL.createObjectURL(await response.blob());
	link.download = name;
	link.click();
	URL.revokeObjectURL(link.href);
}

/**
 * Signs in: with a link's code at once, otherwise at the provider, whose page replaces this one.
 * @param {string} [link]
 */
export async function signIn(link) {
	const token = await sha256(new TextEncoder().encode(newToken()));
	const { url } = await request("/console/sign-in", {
		method: "POST",
		json: { token, ...(link && { link }) },
	});
	if (url === null) return;
	location.assign(url);
	await new Promise(() => {}); // the page goes away
}

export async function signOut() {
	await request("/console/sign-out", { method: "POST" });
	localStorage.removeItem(STORED);
}

/**
 * @param {string} path
 * @param {{ method?: string, json?: object }} [options]
 */
async function request(path, { method = "GET", json } = {}) {
	const response = await send(path, {
		method,
		...(json && {
			headers: { "Content-Type": "application/json" },
			body: JSON.stringify(json),
		}),
	});
	const text = await response.text();
	return text === "" ? null : JSON.parse(text);
}

/**
 * @param {string} path
 * @param {{ method?: string, headers?: Record<string, string>, body?: string }} options
 * @returns a response with a 2xx status
 */
async function send(path, { headers, ...options }) {
	const response = await fetch(path, {
		...options,
		headers: { "X-Console-Token": storedToken(), ...headers },
	}).catch(() => {
		throw new Problem(
			"No answer came from the server. Check the connection, then try again.",
		);
	});
	if (response.ok) return response;
	throw problemIn(
		response.status,
		await response.text(),
		response.headers.get("X-Request-Id"),
	);
}
