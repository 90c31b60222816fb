/** What a command is, and what it has to do its work with. */
import type { MiniGPT4 } from "../index.ts";
import type { Given, OptionName } from "./options.ts";
import type { Output, StatusLine, Styles } from "./terminal.ts";

/** The process around the command; tests bring their own. */
export interface Surroundings {
	env: NodeJS.ProcessEnv;
	out: Output;
	err: Output;
	/** Standard input, if something is piped in. */
	input: AsyncIterable<Uint8Array> | null;
	/** Aborts on the first Ctrl-C. */
	interrupt: AbortSignal;
	now: () => number;
}

export interface Context extends Surroundings {
	client: MiniGPT4;
	json: boolean;
	values: Given["values"];
	/** Styles of standard output. */
	style: Styles;
	/** What goes on, on standard error, where that is a terminal. */
	status: StatusLine;
	/** A line on standard error, for people: nothing with --json. */
	note: (text: string) => void;
	/** A line of standard output. */
	print: (text: string) => void;
	/** A JSON document, in full on a terminal, else in one line. */
	document: (value: unknown) => void;
}

export interface Command {
	/** `jobs list` */
	name: string;
	/** What is written behind the name, in the help: one line each. */
	usage: readonly string[];
	/** One line. */
	summary: string;
	/** More than that. */
	about?: string;
	options: readonly OptionName[];
	run: (context: Context, words: string[]) => Promise<void>;
}
