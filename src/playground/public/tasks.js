// @ts-check
/**
 * The API's tasks, by their names there. A `task` begins a conversation; the API takes none that
 * continues a job, so a follow-up sends the task's prompt instead.
 */

/** @typedef {keyof typeof TASKS} Task */

export const TASKS = {
	describe: "Describe this image in detail.",
	story: "Write a short story about this picture.",
	poem: "Write a short poem about this picture.",
	recipe:
		"Write a recipe for the dish in this picture, with its ingredients and steps.",
	advertisement: "Write a short advertisement for what this picture shows.",
	website: "Write the HTML of a simple web page about what this picture shows.",
	humour: "Explain what could be funny about this picture.",
};
