// @ts-check
/**
 * The API's tasks, by their names there. A `task` begins a conversation; the API takes none that
 * continues a job, so a follow-up sends the task's prompt and `max_tokens` instead.
 */

/** @typedef {keyof typeof TASKS} Task */

export const TASKS = {
	describe: { prompt: "Describe this image in detail.", maxTokens: 300 },
	story: { prompt: "Write a short story about this picture.", maxTokens: 500 },
	poem: { prompt: "Write a short poem about this picture.", maxTokens: 400 },
	recipe: {
		prompt:
			"Write a recipe for the dish in this picture, with its ingredients and steps.",
		maxTokens: 700,
	},
	website: {
		prompt:
			"Write the HTML of a simple web page about what this picture shows.",
		maxTokens: 1200,
	},
	humour: {
		prompt: "Explain what could be funny about this picture.",
		maxTokens: 300,
	},
	advertisement: {
		prompt: "Write a short advertisement for what this picture shows.",
		maxTokens: 300,
	},
};
