// @ts-check
/** The admin secret, which this tab keeps, and calls with it. */
import { call } from "../http.js";

const STORED = "admin-secret";

export const storedSecret = () => sessionStorage.getItem(STORED);
/** @param {string} secret */
export const storeSecret = (secret) => sessionStorage.setItem(STORED, secret);
export const forgetSecret = () => sessionStorage.removeItem(STORED);

/**
 * Calls an admin route.
 * @param {string} path @param {object} [json] with it the call is a POST
 * @returns {Promise<any>}
 * @throws {import("../http.js").Problem}
 */
export async function admin(path, json) {
	const response = await call(`/admin${path}`, storedSecret() ?? "", {
		...(json && {
			method: "POST",
			headers: { "Content-Type": "application/json" },
			body: JSON.stringify(json),
		}),
	});
	return response.json();
}
