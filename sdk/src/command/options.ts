/** What may be written behind a command: every option once, whichever commands take it, and how their values are read. */
import { parseArgs } from "node:util";
import { UsageError } from "./exit.ts";

interface Option {
	type: "string" | "boolean";
	short?: string;
	multiple?: boolean;
	/** Of the value, in the help. */
	value?: string;
	help: string;
}

export const OPTIONS = {
	model: {
		type: "string",
		short: "m",
		value: "ID",
		help: "one of `minigpt4 models`",
	},
	"max-tokens": {
		type: "string",
		value: "N",
		help: "longest answer, 1 to 2048 tokens",
	},
	temperature: {
		type: "string",
		value: "T",
		help: "0 always says the same; up to 2",
	},
	seed: { type: "string", value: "N", help: "draws the same answer again" },
	stop: {
		type: "string",
		multiple: true,
		value: "TEXT",
		help: "ends the answer before TEXT; up to four times",
	},
	previous: {
		type: "string",
		short: "p",
		value: "JOB",
		help: "goes on from that job, with its images",
	},
	limit: { type: "string", value: "N", help: "at most so many" },
	after: {
		type: "string",
		value: "SEQ",
		help: "from behind the event with this number",
	},
	origin: {
		type: "string",
		multiple: true,
		value: "ORIGIN",
		help: "binds the key to pages of it; may be repeated",
	},
	forward: {
		type: "string",
		value: "URL",
		help: "where to POST the events, such as http://localhost:3000/hook",
	},
	events: {
		type: "string",
		value: "TYPES",
		help: "only these, as job.succeeded,job.failed",
	},
	description: { type: "string", value: "TEXT", help: "for the list" },
	json: { type: "boolean", help: "prints JSON" },
	"base-url": {
		type: "string",
		value: "URL",
		help: "of the API; MINIGPT4_BASE_URL without it",
	},
	help: { type: "boolean", short: "h", help: "shows how the command is used" },
	version: { type: "boolean", short: "v", help: "shows the version" },
} as const satisfies Record<string, Option>;

export type OptionName = keyof typeof OPTIONS;
export const option = (name: OptionName): Option => OPTIONS[name];

/** Taken by every command. */
export const GLOBAL: readonly OptionName[] = [
	"json",
	"base-url",
	"help",
	"version",
];

export interface Given {
	words: string[];
	values: ReturnType<typeof parse>["values"];
	/** Those that were written. */
	names: OptionName[];
}

const parse = (args: string[]) =>
	parseArgs({ args, options: OPTIONS, allowPositionals: true });

/** @throws UsageError */
export function read(args: string[]): Given {
	try {
		const { values, positionals } = parse(args);
		return {
			words: positionals,
			values,
			names: Object.keys(values) as OptionName[],
		};
	} catch (error) {
		throw new UsageError(reword(error as Error & { code?: string }));
	}
}

/** Node's words for it, as far as they help here. */
function reword(error: Error & { code?: string }): string {
	const name = /'([^']*)'/.exec(error.message)?.[1] ?? "";
	switch (error.code) {
		case "ERR_PARSE_ARGS_UNKNOWN_OPTION": {
			const like = nearest(name.replace(/^-+/, ""), Object.keys(OPTIONS));
			return `There is no option ${name}.${like ? ` Is it --${like}?` : ""}`;
		}
		case "ERR_PARSE_ARGS_INVALID_OPTION_VALUE": {
			const flag = /--[\w-]+/.exec(error.message)?.[0] ?? name;
			return /does not take/.test(error.message)
				? `${flag} takes no value.`
				: `${flag} needs a value.`;
		}
		default:
			return error.message.split("\n")[0] ?? "";
	}
}

/** What was probably meant, if anything was: one or two letters off. */
export function nearest(word: string, known: readonly string[]): string | null {
	const [best] = known
		.map((each) => ({ each, far: distance(word, each) }))
		.sort((a, b) => a.far - b.far);
	return best && best.far <= Math.min(2, best.each.length / 2)
		? best.each
		: null;
}

function distance(a: string, b: string): number {
	let row = Array.from({ length: b.length + 1 }, (_, n) => n);
	for (let i = 1; i <= a.length; i++) {
		const next = [i];
		for (let j = 1; j <= b.length; j++)
			next[j] = Math.min(
				(row[j] as number) + 1,
				(next[j - 1] as number) + 1,
				(row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1),
			);
		row = next;
	}
	return row[b.length] as number;
}

/** A number as it was written, or undefined where it was not. Its bounds are the API's matter. @throws UsageError */
export function number(
	name: OptionName,
	given: string | undefined,
): number | undefined {
	if (given === undefined) return undefined;
	const value = Number(given);
	if (given.trim() === "" || !Number.isFinite(value))
		throw new UsageError(`--${name} needs a number, not "${given}".`);
	return value;
}
