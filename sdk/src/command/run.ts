/** Runs a command line, and returns the exit code. */
import { MiniGPT4 } from "../index.ts";
import type { Command, Context, ProcessIO } from "./command.ts";
import { COMMANDS, DEFAULT_COMMANDS } from "./commands.ts";
import { EXIT, Interrupted, reportOf, UsageError } from "./exit.ts";
import { helpOf, helpOfGroup, overview } from "./help.ts";
import {
	GLOBAL,
	nearest,
	type ParsedArgs,
	parseCommandLine,
} from "./options.ts";
import {
	StatusLine,
	type Styles,
	sanitize,
	stylesFor,
	widthOf,
} from "./terminal.ts";

/** How long a failing call is retried: briefly, because a person is waiting. */
const RETRY_FOR_MS = 5_000;
const DEFAULT_BASE_URL = "http://127.0.0.1:8787";

/** @returns the process's exit code */
export async function run(
	args: string[],
	io: ProcessIO,
	version: string,
): Promise<number> {
	const { env, out, err, interrupt } = io;
	const style = stylesFor(out, env);
	const status = new StatusLine(err, env);
	let json = args.includes("--json");
	let baseURL = env.MINIGPT4_BASE_URL || DEFAULT_BASE_URL;
	let command: Command | undefined;
	try {
		const parsed = parseCommandLine(args);
		json = parsed.values.json ?? false;
		if (parsed.values.version) {
			out.write(`minigpt4 ${version}\n`);
			return EXIT.ok;
		}
		const isHelp = parsed.args[0] === "help";
		const words = isHelp ? parsed.args.slice(1) : parsed.args;
		if (isHelp || parsed.values.help) {
			out.write(help(words, widthOf(out), style));
			return EXIT.ok;
		}
		if (words.length === 0) {
			err.write(overview(widthOf(err), stylesFor(err, env)));
			return EXIT.usage;
		}
		const found = find(words);
		command = found.command;
		checkOptions(command, parsed);
		baseURL = parseBaseURL(parsed.values["base-url"] ?? baseURL);
		const context: Context = {
			...io,
			client: new MiniGPT4({
				apiKey: env.MINIGPT4_API_KEY,
				baseURL,
				retryFor: RETRY_FOR_MS,
			}),
			json,
			values: parsed.values,
			style,
			status,
			note: (text) => {
				status.clear();
				if (!json) err.write(`${text}\n`);
			},
			print: (text) => out.write(`${text}\n`),
			printJSON: (value) =>
				out.write(
					`${JSON.stringify(value, null, out.isTTY ? 2 : undefined)}\n`,
				),
		};
		await command.run(context, found.args);
		return EXIT.ok;
	} catch (error) {
		status.clear();
		const failure = interrupt.aborted ? new Interrupted() : error;
		if (failure instanceof UsageError) failure.command ??= command?.name;
		return printFailure(failure, { io, json, baseURL });
	}
}

/** Finds the command that the first words name. The rest are its arguments. @throws UsageError */
function find(words: string[]): { command: Command; args: string[] } {
	for (const length of [2, 1]) {
		const name = words.slice(0, length).join(" ");
		const command = COMMANDS.find((each) => each.name === name);
		if (command) return { command, args: words.slice(length) };
	}
	const [group = "", second] = words;
	const members = COMMANDS.filter(({ name }) =>
		name.startsWith(`${group} `),
	).map(({ name }) => name.slice(group.length + 1));
	if (members.length > 0) {
		const alone = COMMANDS.find(({ name }) => name === DEFAULT_COMMANDS[group]);
		if (!second && alone) return { command: alone, args: [] };
		const like = second && nearest(second, members);
		const hint = like
			? `Is it \`${group} ${like}\`?`
			: `The commands are: ${members.join(", ")}.`;
		throw new UsageError(
			second
				? `There is no \`${group} ${second}\`. ${hint}`
				: `\`${group}\` needs one of: ${members.join(", ")}.`,
			group,
		);
	}
	const like = nearest(
		group,
		COMMANDS.flatMap(({ name }) => name.split(" ").slice(0, 1)),
	);
	throw new UsageError(
		/\.(jpe?g|png|webp|gif)$/i.test(group)
			? `Name a command first: minigpt4 describe ${group}`
			: `There is no command "${group}".${like ? ` Is it ${like}?` : ""}`,
	);
}

function help(words: string[], width: number, style: Styles): string {
	const [group] = words;
	if (group === undefined) return overview(width, style);
	const members = COMMANDS.filter(({ name }) => name.startsWith(`${group} `));
	if (members.length > 0 && words.length === 1)
		return helpOfGroup(members, width, style);
	return helpOf(find(words).command, width, style);
}

function checkOptions(command: Command, { names }: ParsedArgs): void {
	const wrong = names.find(
		(name) => !command.options.includes(name) && !GLOBAL.includes(name),
	);
	if (wrong)
		throw new UsageError(
			`\`${command.name}\` takes no --${wrong}.`,
			command.name,
		);
}

/** Checks the API's address. @throws UsageError */
function parseBaseURL(given: string): string {
	const url = URL.canParse(given) ? new URL(given) : null;
	if (!url || !/^https?:$/.test(url.protocol))
		throw new UsageError(
			[
				`"${given}" is not an API's address, such as http://127.0.0.1:8787.`,
				"It is from --base-url or MINIGPT4_BASE_URL.",
			].join(" "),
		);
	if (url.username || url.password)
		throw new UsageError(
			"The API's address has a name or password. Put the key into MINIGPT4_API_KEY.",
		);
	// OpenAI's SDK has a base URL that ends in /v1. This client adds /v1 itself.
	return given.replace(/\/v1\/?$/, "");
}

/** Writes to standard error what went wrong and what to do next, and returns the exit code. */
function printFailure(
	error: unknown,
	{
		io: { env, err },
		json,
		baseURL,
	}: { io: ProcessIO; json: boolean; baseURL: string },
): number {
	const { exit, code, message, next, requestId, field } = reportOf(
		error,
		baseURL,
	);
	if (exit === EXIT.interrupted) return exit;
	if (json) {
		const body = { code, message, next, request_id: requestId, field, exit };
		err.write(`${JSON.stringify({ error: body })}\n`);
		return exit;
	}
	const { bold, dim, red } = stylesFor(err, env);
	err.write(`${red(bold("minigpt4:"))} ${sanitize(message)}\n`);
	if (next) err.write(`${sanitize(next)}\n`);
	if (requestId && exit !== EXIT.authentication)
		err.write(dim(`${code} · ${requestId}\n`));
	return exit;
}
