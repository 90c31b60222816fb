/** The prompt of each `task`. The tasks are those of the MiniGPT-4 paper, section 4. */
export const TASKS = {
	describe: "Describe this image in detail.",
	story: "Write a short story about this picture.",
	poem: "Write a short poem about this picture.",
	recipe:
		"Write a recipe for the dish in this picture, with its ingredients and steps.",
	website: "Write the HTML of a simple web page about what this picture shows.",
	humour: "Explain what could be funny about this picture.",
	advertisement: "Write a short advertisement for what this picture shows.",
} as const;

export type Task = keyof typeof TASKS;
