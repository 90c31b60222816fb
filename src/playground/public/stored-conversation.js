// @ts-check
/**
 * The conversation in this tab's storage, for a reload: questions and the ids of jobs. What the
 * model said stays with the API.
 */

/** @import { Turn } from "./conversation.js" */

/**
 * @typedef {object} Stored
 * @property {string} key masked: another account's jobs cannot be read
 * @property {{ upload: string, name: string }} photo
 * @property {Turn[]} turns without what was received
 */

const STORAGE_NAME = "minigpt4.conversation";

/** @param {Stored} conversation */
export const storeConversation = ({ key, photo, turns }) =>
	sessionStorage.setItem(
		STORAGE_NAME,
		JSON.stringify({
			key,
			photo,
			turns: turns.map((turn) => ({
				...turn,
				seq: 0,
				description: "",
				text: "",
			})),
		}),
	);

/** @returns {Stored | null} */
export const storedConversation = () =>
	JSON.parse(sessionStorage.getItem(STORAGE_NAME) ?? "null");

export const forgetConversation = () => sessionStorage.removeItem(STORAGE_NAME);
