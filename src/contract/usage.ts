/** What the Account and the Worker tell each other about usage. */

/** What usage may be summed by. */
export const USAGE_GROUPS = ["day", "key", "model", "task"] as const;
export type UsageGroup = (typeof USAGE_GROUPS)[number];

export interface UsageQuery {
	/** Days since 1970, UTC; both count. */
	from: number;
	to: number;
	by: readonly UsageGroup[];
}

/** The jobs that settled, summed. A group is null where the sum is over all of it. */
export interface UsageRow {
	day: number | null;
	key: string | null;
	model: string | null;
	/** Empty for a question of the caller's own. */
	task: string | null;
	jobs: number;
	prompt_tokens: number;
	output_tokens: number;
	images: number;
	/** Micro-USD. */
	price: number;
}

export const DAY_MS = 86_400_000;
