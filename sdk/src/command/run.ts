/** From the words of the command line to the number that the process ends with. */
import { MiniGPT4 } from "../index.ts";
import type { Command, Context, Surroundings } from "./command.ts";
import { ALONE, COMMANDS } from "./commands.ts";
import { EXIT, endingOf, Interrupted, UsageError } from "./exit.ts";
import { helpOf, helpOfGroup, overview } from "./help.ts";
import { type Given, GLOBAL, nearest, read } from "./options.ts";
import {
	harmless,
	StatusLine,
	type Styles,
	stylesFor,
	widthOf,
} from "./terminal.ts";

/** How long a call that fails is tried again: somebody is waiting. */
const RETRY_FOR_MS = 5_000;
const DEFAULT_BASE_URL = "http://127.0.0.1:8787";

/** @returns the exit code */
export async function run(
	args: string[],
	around: Surroundings,
	version: string,
): Promise<number> {
	const { env, out, err, interrupt } = around;
	const style = stylesFor(out, env);
	const status = new StatusLine(err, env);
	let json = args.includes("--json");
	let baseURL = env.MINIGPT4_BASE_URL || DEFAULT_BASE_URL;
	let command: Command | undefined;
	try {
		const given = read(args);
		json = given.values.json ?? false;
		if (given.values.version) {
			out.write(`minigpt4 ${version}\n`);
			return EXIT.ok;
		}
		const asks = given.words[0] === "help";
		const words = asks ? given.words.slice(1) : given.words;
		if (asks || given.values.help) {
			out.write(help(words, widthOf(out), style));
			return EXIT.ok;
		}
		if (words.length === 0) {
			err.write(overview(widthOf(err), stylesFor(err, env)));
			return EXIT.usage;
		}
		const found = find(words);
		command = found.command;
		checkOptions(command, given);
		baseURL = address(given.values["base-url"] ?? baseURL);
		const context: Context = {
			...around,
			client: new MiniGPT4({
				apiKey: env.MINIGPT4_API_KEY,
				baseURL,
				retryFor: RETRY_FOR_MS,
			}),
			json,
			values: given.values,
			style,
			status,
			note: (text) => {
				status.clear();
				if (!json) err.write(`${text}\n`);
			},
			print: (text) => out.write(`${text}\n`),
			document: (value) =>
				out.write(
					`${JSON.stringify(value, null, out.isTTY ? 2 : undefined)}\n`,
				),
		};
		await command.run(context, found.words);
		return EXIT.ok;
	} catch (error) {
		status.clear();
		const failure = interrupt.aborted ? new Interrupted() : error;
		if (failure instanceof UsageError) failure.command ??= command?.name;
		return tell(failure, { around, json, baseURL });
	}
}

/** The command that the first words name, and the rest of them. @throws UsageError */
function find(words: string[]): { command: Command; words: string[] } {
	for (const length of [2, 1]) {
		const name = words.slice(0, length).join(" ");
		const command = COMMANDS.find((each) => each.name === name);
		if (command) return { command, words: words.slice(length) };
	}
	const [group = "", second] = words;
	const within = COMMANDS.filter(({ name }) =>
		name.startsWith(`${group} `),
	).map(({ name }) => name.slice(group.length + 1));
	if (within.length > 0) {
		const alone = COMMANDS.find(({ name }) => name === ALONE[group]);
		if (!second && alone) return { command: alone, words: [] };
		const like = second && nearest(second, within);
		throw new UsageError(
			second
				? `There is no \`${group} ${second}\`.${like ? ` Is it \`${group} ${like}\`?` : ` There is: ${within.join(", ")}.`}`
				: `\`${group}\` needs one of: ${within.join(", ")}.`,
			group,
		);
	}
	const like = nearest(
		group,
		COMMANDS.flatMap(({ name }) => name.split(" ").slice(0, 1)),
	);
	throw new UsageError(
		/\.(jpe?g|png|webp|gif)$/i.test(group)
			? `What about ${group}? minigpt4 describe ${group}`
			: `There is no command "${group}".${like ? ` Is it ${like}?` : ""}`,
	);
}

function help(words: string[], width: number, style: Styles): string {
	const [group] = words;
	if (group === undefined) return overview(width, style);
	const within = COMMANDS.filter(({ name }) => name.startsWith(`${group} `));
	if (within.length > 0 && words.length === 1)
		return helpOfGroup(within, width, style);
	return helpOf(find(words).command, width, style);
}

function checkOptions(command: Command, { names }: Given): void {
	const wrong = names.find(
		(name) => !command.options.includes(name) && !GLOBAL.includes(name),
	);
	if (wrong)
		throw new UsageError(
			`\`${command.name}\` takes no --${wrong}.`,
			command.name,
		);
}

function address(given: string): string {
	const url = URL.canParse(given) ? new URL(given) : null;
	if (!url || !/^https?:$/.test(url.protocol))
		throw new UsageError(
			`"${given}" is no address of an API. It looks like http://127.0.0.1:8787 and comes from --base-url or MINIGPT4_BASE_URL.`,
		);
	if (url.username || url.password)
		throw new UsageError(
			"The API's address holds a name or password. The key goes into MINIGPT4_API_KEY.",
		);
	// The OpenAI SDK's base URL ends in /v1; ours adds that itself.
	return given.replace(/\/v1\/?$/, "");
}

/** On standard error: what went wrong, and what to do next. */
function tell(
	error: unknown,
	{
		around: { env, err },
		json,
		baseURL,
	}: { around: Surroundings; json: boolean; baseURL: string },
): number {
	const ending = endingOf(error, baseURL);
	const { exit, code, message, next, requestId, field } = ending;
	if (exit === EXIT.interrupted) return exit;
	if (json) {
		const body = { code, message, next, request_id: requestId, field, exit };
		err.write(`${JSON.stringify({ error: body })}\n`);
		return exit;
	}
	const { bold, dim, red } = stylesFor(err, env);
	err.write(`${red(bold("minigpt4:"))} ${harmless(message)}\n`);
	if (next) err.write(`${harmless(next)}\n`);
	if (requestId && exit !== EXIT.authentication)
		err.write(dim(`${code} · ${requestId}\n`));
	return exit;
}
