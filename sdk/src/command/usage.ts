/** `usage` and `topup`: what the account used, and a page to pay more in. */
import type { Command } from "./command.ts";
import { UsageError } from "./exit.ts";
import { money } from "./format.ts";
import { parsePast } from "./options.ts";
import { sanitize, table, widthOf } from "./terminal.ts";

const GROUPS = ["day", "key", "model", "task"] as const;
type Group = (typeof GROUPS)[number];

const COLUMNS: Record<Group, string> = {
	day: "DAY",
	key: "KEY",
	model: "MODEL",
	task: "TASK",
};

/** The widest bar. */
const BAR = 24;

export const usage: Command = {
	name: "usage",
	usage: ["[--by model,task] [--since 30d] [--until 2026-12-01]"],
	summary:
		"Shows what the account used: jobs, tokens, images, and their price.",
	about:
		"By day without --by. Days are UTC's. --by takes day, key, model and task, with commas.",
	options: ["by", "since", "until"],
	async run(context, args) {
		const { client, json, values, out, style, now, note, print, printJSON } =
			context;
		if (args.length > 0)
			throw new UsageError(
				`This command takes no argument such as "${args[0]}".`,
			);
		const by = groupsIn(values.by ?? "day");
		const day = (name: "since" | "until", given: string | undefined) =>
			given === undefined
				? undefined
				: parsePast(name, given, now()).toISOString().slice(0, 10);
		const rows = [];
		for await (const row of client.usage.list({
			by,
			from: day("since", values.since),
			to: day("until", values.until),
			signal: context.interrupt,
		}))
			rows.push(row);
		if (json) return printJSON(rows);
		if (rows.length === 0) return note("Nothing was used in these days.");
		const most = Math.max(...rows.map(({ price }) => price), 1);
		print(
			table(
				[
					...by.map((group) => COLUMNS[group]),
					"JOBS",
					"PROMPT",
					"OUTPUT",
					"IMAGES",
					"PRICE",
					"",
				],
				rows.map((row) => [
					...by.map((group) => sanitize(row[group] || "-")),
					String(row.jobs),
					String(row.prompt_tokens),
					String(row.output_tokens),
					String(row.images),
					money(row.price),
					style.cyan("█".repeat(Math.ceil((row.price / most) * BAR))),
				]),
				widthOf(out),
				style,
			).trimEnd(),
		);
	},
};

function groupsIn(given: string): Group[] {
	const names = given.split(",").map((name) => name.trim());
	const unknown = names.find((name) => !GROUPS.some((group) => group === name));
	if (unknown !== undefined)
		throw new UsageError(
			`--by takes ${GROUPS.join(", ")}, with commas between them, not "${unknown}".`,
		);
	return GROUPS.filter((group) => names.includes(group));
}

export const topup: Command = {
	name: "topup",
	usage: ["USD"],
	summary: "Prints the address of a page on which to top up the balance.",
	about: "Nothing is charged until somebody pays there, by card.",
	options: [],
	async run({ client, json, print, note, style, printJSON, interrupt }, args) {
		const [dollars, ...more] = args;
		if (!dollars || more.length > 0 || !/^\d{1,5}(\.\d{1,2})?$/.test(dollars))
			throw new UsageError("How much, in USD? As in: minigpt4 topup 10");
		const [whole = "0", cents = ""] = dollars.split(".");
		const amount = Number(whole) * 1e6 + Number(cents.padEnd(2, "0")) * 1e4;
		const page = await client.account.topUp(amount, { signal: interrupt });
		if (json) return printJSON(page);
		print(page.url);
		note(style.dim("The credit is there as soon as the payment has arrived."));
	},
};
