/** Every option of every command, and how to read a command line. */
import { parseArgs } from "node:util";
import { UsageError } from "./exit.ts";

interface Option {
	type: "string" | "boolean";
	short?: string;
	multiple?: boolean;
	/** The value's name in the help. */
	value?: string;
	help: string;
}

/** The items that a list shows without --limit. */
const DEFAULT_LIMIT = 20;
/** The items that the API returns at most in one page. */
export const MAX_PAGE = 100;

export const OPTIONS = {
	model: {
		type: "string",
		short: "m",
		value: "ID",
		help: "the model; `minigpt4 models` lists them",
	},
	"max-tokens": {
		type: "string",
		value: "N",
		help: "the longest answer, 1 to 2048 tokens",
	},
	temperature: {
		type: "string",
		value: "T",
		help: "0 to 2; with 0 the answer is always the same",
	},
	seed: { type: "string", value: "N", help: "repeats the same random answer" },
	stop: {
		type: "string",
		multiple: true,
		value: "TEXT",
		help: "ends the answer before TEXT; up to four times",
	},
	"max-price": {
		type: "string",
		value: "N",
		help: "ends the answer before it costs more, in micro-USD: 1000 are $0.001",
	},
	quote: {
		type: "string",
		value: "QUOTE",
		help: "the price of `minigpt4 quote` for this very question; for one job, 15 minutes long",
	},
	previous: {
		type: "string",
		short: "p",
		value: "JOB",
		help: "continues that job, with its images",
	},
	limit: {
		type: "string",
		value: "N",
		help: `lists at most N; ${DEFAULT_LIMIT} by default`,
	},
	after: {
		type: "string",
		value: "SEQ",
		help: "starts after the event with this number",
	},
	origin: {
		type: "string",
		multiple: true,
		value: "ORIGIN",
		help: "binds the key to pages of this origin; may be repeated",
	},
	scopes: {
		type: "string",
		value: "SCOPES",
		help: "what the key may do, such as jobs:write,jobs:read",
	},
	expires: {
		type: "string",
		value: "TIME",
		help: "when the key ends: in 30d or 12h, or at a date such as 2027-01-01",
	},
	ips: {
		type: "string",
		value: "RANGES",
		help: "the only addresses that may use the key, such as 203.0.113.0/24,2001:db8::/32",
	},
	grace: {
		type: "string",
		value: "TIME",
		help: "for how long the old secret works on: 0 to 7d, by default 1d",
	},
	keys: {
		type: "string",
		value: "FILE",
		help: "the public keys, as `minigpt4 receipt keys` prints them",
	},
	answer: {
		type: "string",
		value: "FILE",
		help: "the answer, to be the one that was signed for",
	},
	spend: {
		type: "string",
		value: "LIMITS",
		help: "the most that the key may spend, in USD: day=1,month=20,total=50; or none",
	},
	kind: {
		type: "string",
		value: "KIND",
		help: "only entries of this kind: credit, reversal, hold, settle or release",
	},
	by: {
		type: "string",
		value: "GROUPS",
		help: "what to sum by: day, key, model or task, with commas between them",
	},
	since: {
		type: "string",
		value: "TIME",
		help: "only from then on: 12h or 30d ago, or a date such as 2026-11-01",
	},
	until: {
		type: "string",
		value: "TIME",
		help: "only before then: 12h or 30d ago, or a date such as 2026-12-01",
	},
	csv: { type: "boolean", help: "prints CSV" },
	forward: {
		type: "string",
		value: "URL",
		help: "the address to POST to, such as http://localhost:3000/hook",
	},
	events: {
		type: "string",
		value: "TYPES",
		help: "only these types, such as job.succeeded,job.failed",
	},
	description: {
		type: "string",
		value: "TEXT",
		help: "a note that the list shows",
	},
	json: { type: "boolean", help: "prints JSON" },
	"base-url": {
		type: "string",
		value: "URL",
		help: "the API's address; by default MINIGPT4_BASE_URL",
	},
	help: { type: "boolean", short: "h", help: "shows this help" },
	version: { type: "boolean", short: "v", help: "shows the version" },
} as const satisfies Record<string, Option>;

export type OptionName = keyof typeof OPTIONS;
export const option = (name: OptionName): Option => OPTIONS[name];

/** Every command takes these. */
export const GLOBAL: readonly OptionName[] = [
	"json",
	"base-url",
	"help",
	"version",
];

export interface ParsedArgs {
	args: string[];
	values: ReturnType<typeof parse>["values"];
	/** The options that the command line has. */
	names: OptionName[];
}

const parse = (args: string[]) =>
	parseArgs({ args, options: OPTIONS, allowPositionals: true });

/** Splits the command line into arguments and options. @throws UsageError */
export function parseCommandLine(args: string[]): ParsedArgs {
	try {
		const { values, positionals } = parse(args);
		return {
			args: positionals,
			values,
			names: Object.keys(values) as OptionName[],
		};
	} catch (error) {
		throw new UsageError(reword(error as Error & { code?: string }));
	}
}

/** Rewords the error of Node's `parseArgs`. */
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

/** Returns the candidate that differs by at most two letters; null if there is none. */
export function nearest(
	word: string,
	candidates: readonly string[],
): string | null {
	const [best] = candidates
		.map((each) => ({ each, far: distance(word, each) }))
		.sort((a, b) => a.far - b.far);
	return best && best.far <= Math.min(2, best.each.length / 2)
		? best.each
		: null;
}

/** The Levenshtein distance. */
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

/**
 * Reads an option's number; undefined if the option is missing. The API checks its bounds.
 *
 * @throws UsageError if it is not a number
 */
export function parseNumber(
	name: OptionName,
	given: string | undefined,
): number | undefined {
	if (given === undefined) return undefined;
	const value = Number(given);
	if (given.trim() === "" || !Number.isFinite(value))
		throw new UsageError(`--${name} needs a number, not "${given}".`);
	return value;
}

/** Reads --limit. @throws UsageError if it is not a whole number from 1 */
export function parseLimit(given: string | undefined): number {
	const limit = parseNumber("limit", given) ?? DEFAULT_LIMIT;
	if (Number.isInteger(limit) && limit >= 1) return limit;
	throw new UsageError("--limit needs a whole number from 1.");
}

const UNIT_SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 };

/**
 * Reads a time such as `90s`, `15m`, `12h` or `7d`, in seconds; a number alone is in seconds.
 *
 * @throws UsageError if it is none
 */
export function parseDuration(name: OptionName, given: string): number {
	const [, count, unit = "s"] = /^(\d+)([smhd])?$/.exec(given) ?? [];
	if (count === undefined)
		throw new UsageError(
			`--${name} needs a time such as 90s, 15m, 12h or 7d, not "${given}".`,
		);
	return Number(count) * UNIT_SECONDS[unit as keyof typeof UNIT_SECONDS];
}

/**
 * Reads a time to come: a duration from now on, or a date.
 *
 * @throws UsageError if it is neither
 */
export const parseTime = (name: OptionName, given: string, now: number): Date =>
	parseMoment(name, given, now, 1);

/**
 * Reads a time that is past: a duration until now, or a date.
 *
 * @throws UsageError if it is neither
 */
export const parsePast = (name: OptionName, given: string, now: number): Date =>
	parseMoment(name, given, now, -1);

function parseMoment(
	name: OptionName,
	given: string,
	now: number,
	sign: 1 | -1,
): Date {
	if (/^\d+[smhd]?$/.test(given))
		return new Date(now + sign * parseDuration(name, given) * 1000);
	const date = new Date(given);
	if (/^\d{4}-\d\d-\d\d/.test(given) && !Number.isNaN(date.getTime()))
		return date;
	throw new UsageError(
		`--${name} needs a time such as 12h or 30d, or a date such as 2027-01-01, not "${given}".`,
	);
}

const PERIODS = ["day", "month", "total"] as const;

/**
 * Reads --spend, in USD, as micro-USD; null for `none`.
 *
 * @throws UsageError if it is neither limits nor `none`
 */
export function parseSpend(
	given: string,
): Partial<Record<(typeof PERIODS)[number], number>> | null {
	if (given === "none") return null;
	const limits = parseList(given).map((item) => {
		const [, period, usd = ""] =
			/^(day|month|total)=\$?(\d+(?:\.\d{1,6})?)$/.exec(item) ?? [];
		if (period === undefined)
			throw new UsageError(
				`--spend needs limits in USD such as day=1,month=20,total=50, or none, not "${given}".`,
			);
		return [period, Math.round(Number(usd) * 1e6)];
	});
	return Object.fromEntries(limits);
}

/** Reads the items of a list, which have commas between them. */
export const parseList = (given: string): string[] =>
	given.split(",").map((item) => item.trim());
