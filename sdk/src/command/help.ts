/** What is said about the commands. */
import type { Command } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { GLOBAL, type OptionName, option } from "./options.ts";
import { fold, glossary, type Styles } from "./terminal.ts";

/** Lines longer than this are not read well, however wide the terminal. */
const MOST_COLUMNS = 100;
const columns = (width: number): number => Math.min(width, MOST_COLUMNS);

/** All of it, in short. */
export function overview(width: number, style: Styles): string {
	const { bold, dim, cyan } = style;
	const list = (entries: [string, string][]) =>
		glossary(entries, columns(width), cyan);
	return [
		"Asks MiniGPT-4 about images.",
		"",
		`  ${bold("minigpt4 describe")} photo.jpg`,
		`  ${bold("minigpt4 ask")} photo.jpg "What is on the table?"`,
		"",
		dim("Commands"),
		list(COMMANDS.map(({ name, summary }) => [name, summary])),
		"",
		dim("Each has its --help, and prints JSON with --json."),
		"",
		dim("Environment"),
		list([
			["MINIGPT4_API_KEY", "the API key"],
			[
				"MINIGPT4_BASE_URL",
				"the API; http://127.0.0.1:8787 without it, where `npm start` serves it",
			],
			["MINIGPT4_WEBHOOK_SECRET", "what `webhooks listen` signs with"],
			["NO_COLOR", "no colours"],
		]),
		"",
		dim("It ends with"),
		list([
			["0", "done"],
			["1", "the job failed, or the API refused"],
			["2", "used wrongly, or a file that is no image"],
			["3", "no key, or one that may not do this"],
			["4", "not enough credit"],
			["5", "the API cannot be reached"],
			["6", "too much at once: try later"],
			["130", "Ctrl-C"],
		]),
		"",
	].join("\n");
}

/** How one command is used. */
export function helpOf(command: Command, width: number, style: Styles): string {
	const name = style.bold(`minigpt4 ${command.name}`);
	return [
		fold(command.summary, columns(width)),
		"",
		...command.usage.map(
			(usage) =>
				`  ${fold(`${name} ${usage}`.trimEnd(), columns(width) - 4).replaceAll("\n", "\n    ")}`,
		),
		"",
		...(command.about ? [fold(command.about, columns(width)), ""] : []),
		glossary(
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

/** The commands that share their first word. */
export function helpOfGroup(
	commands: readonly Command[],
	width: number,
	style: Styles,
): string {
	return [
		glossary(
			commands.map(({ name, usage, summary }) => [
				`minigpt4 ${name} ${usage[0]?.replace(/ ?\[.*/, "") ?? ""}`.trimEnd(),
				summary,
			]),
			columns(width),
			style.cyan,
		),
		"",
		style.dim("Each has its --help."),
		"",
	].join("\n");
}

function flagOf(name: OptionName): string {
	const { short, value } = option(name);
	return `${short ? `-${short}, ` : ""}--${name}${value ? ` ${value}` : ""}`;
}
