/** The interface of a command, and the context that it runs in. */
import type { MiniGPT4 } from "../index.ts";
import type { OptionName, ParsedArgs } from "./options.ts";
import type { Output, StatusLine, Styles } from "./terminal.ts";

/** The process that runs the command. Tests pass their own. */
export interface ProcessIO {
	env: NodeJS.ProcessEnv;
	out: Output;
	err: Output;
	/** Standard input, or null if it is not a pipe or a file. */
	input: AsyncIterable<Uint8Array> | null;
	/** Aborts on the first Ctrl-C. */
	interrupt: AbortSignal;
	now: () => number;
}

export interface Context extends ProcessIO {
	client: MiniGPT4;
	json: boolean;
	values: ParsedArgs["values"];
	/** Styles of standard output. */
	style: Styles;
	/** Shows progress on standard error, if that is a terminal. */
	status: StatusLine;
	/** Writes a line for people to standard error; nothing with --json. */
	note: (text: string) => void;
	/** Writes a line to standard output. */
	print: (text: string) => void;
	/** Writes a value as JSON to standard output: indented on a terminal, otherwise in one line. */
	printJSON: (value: unknown) => void;
}

export interface Command {
	/** One or two words, such as `jobs list`. */
	name: string;
	/** The arguments, for the help: one line for each way to use the command. */
	usage: readonly string[];
	/** One sentence, for the overview. */
	summary: string;
	/** More about the command, for its own help. */
	about?: string;
	options: readonly OptionName[];
	run: (context: Context, args: string[]) => Promise<void>;
}
