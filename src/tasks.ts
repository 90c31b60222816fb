/** The tasks of the MiniGPT-4 paper, section 4. */
interface Preset {
	prompt: string;
	/** `max_tokens` where the request sets none: room for a long answer of this kind. */
	maxTokens: number;
}

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
} as const satisfies Record<string, Preset>;

export type Task = keyof typeof TASKS;

/** The most tokens of a description, and the share of the job's tokens that it never exceeds. */
const DESCRIPTION = { tokens: 128, share: 1 / 2 };

/** @param tokens that the job may have in all */
export const mostDescriptionTokens = (tokens: number): number =>
	Math.min(DESCRIPTION.tokens, Math.floor(tokens * DESCRIPTION.share));
