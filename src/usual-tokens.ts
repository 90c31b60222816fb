/**
 * How long answers usually are, in tokens. Only the expected price of a quote rests on it; nothing
 * is held, capped or charged by it.
 *
 * A row is a median of what was measured. Where nothing was, an answer is taken to fill half of
 * what its task has room for, which errs on the dear side more often than not.
 */
import type { ModelId } from "./models.ts";
import { TASKS, type Task } from "./tasks.ts";

/** A request without a task: a question, or a conversation. */
type Kind = Task | "question";

/**
 * The means that MiniGPT-4's long and short answers have on COCO, 175 and 28.8 words, at four
 * tokens for three words.
 */
const FAMILY = { describe: 233, question: 38 };

const MEASURED: Record<ModelId, Partial<Record<Kind, number>>> = {
	// Greedy answers about photos, by `minigpt4-worker evaluate`: 798 to questions, nine in ten of
	// them within 20 tokens, and six to each task but `humour`. nano mostly names what it sees.
	nano: {
		question: 8,
		describe: 36,
		story: 7,
		poem: 157,
		recipe: 7,
		advertisement: 7,
		website: 27,
		humour: 8,
	},
	// 300 answers about photos, by the same, of a projection that was still being trained.
	mini: { question: 11 },
	"vicuna-7b": FAMILY,
	"llama2-7b": FAMILY,
	"vicuna-13b": FAMILY,
};

/** @param task null for a request without one */
export function usualTokens(model: string, task: Task | null): number {
	const kind = task ?? "question";
	const measured = (MEASURED as Record<string, Partial<Record<Kind, number>>>)[
		model
	]?.[kind];
	const room = kind === "question" ? 300 : TASKS[kind].maxTokens;
	return measured ?? Math.ceil(room / 2);
}
