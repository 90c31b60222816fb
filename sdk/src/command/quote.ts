/** Shows what a question would cost. */
import type { NewJob, Quote } from "../index.ts";
import type { Context } from "./command.ts";
import { exactMoney, money } from "./format.ts";
import { table, widthOf } from "./terminal.ts";

const NAMES: Record<string, string> = {
	prompt_tokens: "prompt tokens",
	output_tokens: "output tokens",
	images: "images",
};
const COUNTED_BY: Record<Quote["counted_by"], string> = {
	tokenizer: "The model counted the prompt; the answer may be longer.",
	estimate: "No worker was up to count the prompt: it is an estimate.",
	caller: "",
};

/** @throws APIError */
export async function showQuote(context: Context, job: NewJob): Promise<void> {
	const { client, json, out, style, note, print, printJSON, interrupt } =
		context;
	const quote = await client.quotes.create(job, { signal: interrupt });
	if (json) return printJSON(quote);
	print(`at most    ${style.bold(money(quote.maximum))}`);
	print(`expected   ${style.bold(money(quote.expected))}`);
	const rows = quote.maximum_parts.map((most, n) => {
		const usual = quote.expected_parts[n] ?? most;
		return [
			NAMES[most.item] ?? most.item,
			String(most.quantity),
			exactMoney(most.amount),
			String(usual.quantity),
			exactMoney(usual.amount),
		];
	});
	const columns = ["PART", "MOST", "AT MOST", "EXPECTED", "COSTS"];
	print(`\n${table(columns, rows, widthOf(out), style).trimEnd()}\n`);
	print(`quote      ${quote.quote}`);
	note(
		style.dim(`${COUNTED_BY[quote.counted_by]} Ends at ${quote.expires_at}.`),
	);
}
