/** The text of --help. */
import type { Command } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { GLOBAL, type OptionName, option } from "./options.ts";
import { definitionList, type Styles, wrapText } from "./terminal.ts";

/** Longer lines are hard to read, however wide the terminal is. */
const MAX_COLUMNS = 100;
const columns = (width: number): number => Math.min(width, MAX_COLUMNS);

/** The help of `minigpt4` itself. */
export function overview(width: number, style: Styles): string {
	const { bold, dim, cyan } = style;
	const list = (entries: [string, string][]) =>
		definitionList(entries, columns(width), cyan);
	return [
		"Asks MiniGPT-4 about images.",
		"",
		`  ${bold("minigpt4 describe")} photo.jpg`,
		`  ${bold("minigpt4 ask")} photo.jpg "What is on the table?"`,
		"",
		dim("Commands"),
		list(COMMANDS.map(({ name, summary }) => [name, summary])),
		"",
		dim("Each command has --help, and prints JSON with --json."),
		"",
		dim("Environment"),
		list([
			["MINIGPT4_API_KEY", "the API key"],
			[
				"MINIGPT4_BASE_URL",
				"the API's address; by default http://127.0.0.1:8787, where `npm start` serves it",
			],
			[
				"MINIGPT4_WEBHOOK_SECRET",
				"the secret that `webhooks listen` signs with",
			],
			["NO_COLOR", "disables colours"],
		]),
		"",
		dim("Exit codes"),
		list([
			["0", "success"],
			["1", "the job failed, or the API refused the request"],
			["2", "the command line is wrong, or a file is not an image"],
			["3", "the API key is missing, wrong, or may not do this"],
			[
				"4",
				"the account does not have enough credit, or the key may not spend it",
			],
			["5", "the API cannot be reached"],
			["6", "too many requests, or the API is overloaded: try later"],
			["130", "interrupted by Ctrl-C"],
		]),
		"",
	].join("\n");
}

/** The help of one command. */
export function helpOf(command: Command, width: number, style: Styles): string {
	const name = style.bold(`minigpt4 ${command.name}`);
	return [
		wrapText(command.summary, columns(width)),
		"",
		...command.usage.map((usage) => {
			const line = `${name} ${usage}`.trimEnd();
			return `  ${indent(wrapText(line, columns(width) - 4))}`;
		}),
		"",
		...(command.about ? [wrapText(command.about, columns(width)), ""] : []),
		definitionList(
			[...command.options, ...GLOBAL].map((each) => [
				flagOf(each),
				option(each).help,
			]),
			columns(width),
			style.cyan,
		),
		"",
	].join("\n");
}

/** Indents the lines after the first. */
const indent = (text: string): string => text.replaceAll("\n", "\n    ");

/** The help of the commands that share their first word. */
export function helpOfGroup(
	commands: readonly Command[],
	width: number,
	style: Styles,
): string {
	return [
		definitionList(
			commands.map(({ name, usage, summary }) => [
				`minigpt4 ${name} ${usage[0]?.replace(/ ?\[.*/, "") ?? ""}`.trimEnd(),
				summary,
			]),
			columns(width),
			style.cyan,
		),
		"",
		style.dim("Each command has --help."),
		"",
	].join("\n");
}

function flagOf(name: OptionName): string {
	const { short, value } = option(name);
	return `${short ? `-${short}, ` : ""}--${name}${value ? ` ${value}` : ""}`;
}
