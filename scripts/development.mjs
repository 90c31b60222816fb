// @ts-check
/**
 * The development account: made through the admin routes, kept with its key, topped up when it runs
 * low.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writePrivate } from "./secrets.mjs";

const CREDIT = 10_000_000; // micro-USD: ten dollars
const LOW = 1_000_000;

/** @typedef {{ edge: string, adminSecret: string }} Operated `edge`: URL */

/** @param {Operated} operated @param {string} route @param {unknown} body */
async function askOperators({ edge, adminSecret }, route, body) {
	const answer = await fetch(`${edge}/admin/accounts${route}`, {
		method: "POST",
		headers: {
			Authorization: `Bearer ${adminSecret}`,
			"Content-Type": "application/json",
		},
		body: JSON.stringify(body),
	});
	if (!answer.ok)
		throw new Error(
			`POST /admin/accounts${route} answered ${answer.status}: ${await answer.text()}`,
		);
	return answer.json();
}

/**
 * A link that signs in to the console as this account, once.
 * @param {Operated} operated @param {string} id
 * @returns {Promise<string>}
 */
export const signInLink = async (operated, id) =>
	(await askOperators(operated, `/${id}/sign-in-links`, {})).url;

/** @typedef {{ id: string, key: string }} Development account id and API key */

/**
 * @param {{ edge: string, state: string, adminSecret: string }} options `edge`: URL
 * @returns {Promise<Development>} an account that exists, with credit and a key that works
 */
export async function developmentAccount({ edge, state, adminSecret }) {
	const path = join(state, "development.json");
	/** @param {string} route @param {unknown} body */
	const admin = (route, body) =>
		askOperators({ edge, adminSecret }, route, body);
	/** @param {string} id */
	const credit = (id) =>
		admin(`/${id}/credits`, {
			id: `development-${Date.now()}`,
			amount: CREDIT,
		});

	if (existsSync(path)) {
		/** @type {Development} */
		const known = JSON.parse(readFileSync(path, "utf8"));
		const answer = await fetch(`${edge}/v1/account`, {
			headers: { Authorization: `Bearer ${known.key}` },
		});
		const account = await answer.json();
		if (answer.ok) {
			if (account.balance.available < LOW) await credit(known.id);
			return known;
		}
		if (answer.status >= 500)
			throw new Error(
				`GET /v1/account answered ${answer.status}: ${JSON.stringify(account)}`,
			);
		// Its data was deleted or its key revoked: a new one.
	}
	const { id } = await admin("", { name: "development" });
	await credit(id);
	const { key } = await admin(`/${id}/keys`, { name: "npm start" });
	writePrivate(path, `${JSON.stringify({ id, key }, null, "\t")}\n`);
	return { id, key };
}
