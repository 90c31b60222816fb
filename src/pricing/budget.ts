/** What a budget still pays. */
import { amountOf, MILLIONTHS, type Usage } from "./bill.ts";
import type { Rates } from "./prices.ts";

/** So many micro-USD or more pay any job: `MAX_RATE` sees to it. */
const UNLIMITED = Math.floor(Number.MAX_SAFE_INTEGER / MILLIONTHS);

/**
 * The most output tokens for which a job's price stays within `budget`, beside its prompt and
 * images. Infinity where output is free; negative where prompt and images alone exceed the budget.
 * @param budget micro-USD
 */
export function tokensWithin(
	budget: number,
	rates: Rates,
	{ prompt_tokens, images }: Omit<Usage, "output_tokens">,
): number {
	const left =
		Math.min(budget, UNLIMITED) * MILLIONTHS -
		amountOf(rates, "prompt_tokens", prompt_tokens) -
		amountOf(rates, "images", images);
	if (left < 0) return -1;
	const each = amountOf(rates, "output_tokens", 1);
	return each === 0 ? Number.POSITIVE_INFINITY : (left - (left % each)) / each;
}
