/** What a job is charged for when it ends. */
import { type Bill, billOf, FREE, type Usage } from "./bill.ts";
import type { Rates } from "./prices.ts";

/**
 * Prompt, images and the tokens that were delivered. A job that failed or expired is free, and so
 * is one that was canceled before its first token.
 */
export function settle(
	end: "succeeded" | "failed" | "canceled" | "expired",
	rates: Rates,
	usage: Usage,
): Bill {
	const isPaid =
		end === "succeeded" || (end === "canceled" && usage.output_tokens > 0);
	return isPaid ? billOf(rates, usage) : FREE;
}
