/** What a terminal can do, and what is shown on it. Elsewhere the same text comes plain and without anything that moves. */
import type { WriteStream } from "node:tty";

export type Output = Pick<NodeJS.WritableStream, "write"> &
	Partial<Pick<WriteStream, "isTTY" | "columns">>;

export type Style = (text: string) => string;

export interface Styles {
	bold: Style;
	dim: Style;
	red: Style;
	green: Style;
	yellow: Style;
	cyan: Style;
}

const ESC = "\x1b";
const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };

/** Colours for a terminal that has them, unless NO_COLOR says otherwise (no-color.org). */
export function stylesFor(out: Output, env: NodeJS.ProcessEnv): Styles {
	const colored = out.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
	const style =
		(code: number): Style =>
		(text) =>
			colored ? `${ESC}[${code}m${text}${ESC}[0m` : text;
	return Object.fromEntries(
		Object.entries(CODES).map(([name, code]) => [name, style(code)]),
	) as unknown as Styles;
}

/** Columns to write in: a terminal's own, else none are counted. */
export const widthOf = (out: Output): number =>
	out.isTTY ? Math.max(20, out.columns || 80) : Number.POSITIVE_INFINITY;

// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/** Text from elsewhere without what would move the cursor, ring or recolour the terminal. */
export const harmless = (text: string): string => text.replace(CONTROL, "");

// biome-ignore lint/suspicious/noControlCharactersInRegex: the escapes written above
const STYLED = /\x1b\[\d+m/g;

export const visible = (text: string): number =>
	[...text.replace(STYLED, "")].length;

/** At most so many columns, with an ellipsis where something is cut. */
export const cut = (text: string, width: number): string => {
	const letters = [...text];
	return letters.length <= width
		? text
		: `${letters.slice(0, Math.max(0, width - 1)).join("")}…`;
};

/** A line that is replaced in place while something goes on: only on a terminal. */
export class StatusLine {
	readonly #out: Output;
	readonly #live: boolean;
	#shown = "";

	constructor(out: Output, env: NodeJS.ProcessEnv) {
		this.#out = out;
		this.#live = out.isTTY === true && env.TERM !== "dumb";
	}

	/** A text that would wrap could not be taken back: it is cut. */
	show(text: string): void {
		if (!this.#live) return;
		const line =
			visible(text) < widthOf(this.#out)
				? text
				: cut(text.replace(STYLED, ""), widthOf(this.#out) - 1);
		if (line === this.#shown) return;
		this.#out.write(`\r${ESC}[2K${line}`);
		this.#shown = line;
	}

	clear(): void {
		if (this.#shown) this.#out.write(`\r${ESC}[2K`);
		this.#shown = "";
	}
}

/** `████████░░░░  62 %  1.2 of 1.9 MB` in so many columns. */
export function bar(part: number, columns: number): string {
	const filled = Math.round(Math.min(1, Math.max(0, part)) * columns);
	return "█".repeat(filled) + "░".repeat(columns - filled);
}

/** East Asian wide letters and emoji take two columns. */
const WIDE =
	/[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
const columnsOf = (letter: string): number => (WIDE.test(letter) ? 2 : 1);

/** Text that comes in pieces, shown at once, and broken into lines between words: a word that does not fit moves down. */
export class Wrapped {
	readonly #out: Output;
	/** One less than there are: at the very edge terminals differ. */
	readonly #width: number;
	#column = 0;
	/** What is shown of the last word. */
	#word = "";
	#wordColumns = 0;

	constructor(out: Output, env: NodeJS.ProcessEnv) {
		this.#out = out;
		this.#width =
			env.TERM === "dumb" ? Number.POSITIVE_INFINITY : widthOf(out) - 1;
	}

	write(text: string): void {
		let shown = "";
		for (const letter of this.#out.isTTY ? harmless(text) : text) {
			if (letter === "\n") {
				shown += letter;
				this.#column = 0;
				this.#endWord();
				continue;
			}
			const columns = columnsOf(letter);
			if (letter === " ") {
				this.#endWord();
				if (this.#column + columns > this.#width) continue;
			} else {
				if (this.#column + columns > this.#width) {
					if (this.#wordColumns < this.#column) {
						const back = this.#wordColumns;
						shown += `${back ? `${ESC}[${back}D${ESC}[K` : ""}\n${this.#word}`;
						this.#column = back;
					} else {
						shown += "\n";
						this.#column = 0;
						this.#endWord();
					}
				}
				this.#word += letter;
				this.#wordColumns += columns;
			}
			shown += letter;
			this.#column += columns;
		}
		this.#out.write(shown);
	}

	/** Ends the last line. */
	end(): void {
		if (this.#column > 0) this.#out.write("\n");
		this.#column = 0;
		this.#endWord();
	}

	#endWord(): void {
		this.#word = "";
		this.#wordColumns = 0;
	}
}

/**
 * Rows in columns that are as wide as their widest cell. Where the terminal is too narrow, each row becomes a block of
 * lines, so that nothing is cut that somebody may want to copy.
 */
export function table(
	head: readonly string[],
	rows: readonly (readonly string[])[],
	width: number,
	{ dim }: Pick<Styles, "dim">,
): string {
	const widths = head.map((title, n) =>
		Math.max(title.length, ...rows.map((row) => visible(row[n] ?? ""))),
	);
	const total = widths.reduce((sum, each) => sum + each + 2, -2);
	if (total > width) {
		const label = Math.max(...head.map((title) => title.length));
		return rows
			.map((row) =>
				row
					.map((cell, n) => ({ cell, title: head[n] ?? "" }))
					.filter(({ cell }) => cell !== "")
					.map(({ cell, title }) => `${dim(title.padEnd(label))}  ${cell}\n`)
					.join(""),
			)
			.join("\n");
	}
	const line = (cells: readonly string[]) =>
		`${cells
			.map((cell, n) => cell + " ".repeat((widths[n] ?? 0) - visible(cell)))
			.join("  ")
			.trimEnd()}\n`;
	return `${dim(line(head).trimEnd())}\n${rows.map(line).join("")}`;
}

/** A text in lines of so many columns, broken between words; its own line breaks stay. */
export function fold(text: string, width: number): string {
	return text
		.split("\n")
		.map((paragraph) => {
			let column = 0;
			let folded = "";
			for (const word of paragraph.split(" ")) {
				const long = visible(word);
				if (column > 0 && column + 1 + long > width) {
					folded += `\n${word}`;
					column = long;
				} else {
					folded += column > 0 ? ` ${word}` : word;
					column += long + (column > 0 ? 1 : 0);
				}
			}
			return folded;
		})
		.join("\n");
}

/** Names and what they mean: side by side, or below each other where that leaves too little room. */
export function glossary(
	entries: readonly (readonly [name: string, meaning: string])[],
	width: number,
	style: Style,
): string {
	const names = Math.max(...entries.map(([name]) => visible(name)));
	const room = width - names - 4;
	if (room < 28)
		return entries
			.map(
				([name, meaning]) =>
					`  ${style(name)}\n    ${fold(meaning, width - 4).replaceAll("\n", "\n    ")}`,
			)
			.join("\n");
	const indent = " ".repeat(names + 4);
	return entries
		.map(([name, meaning]) => {
			const gap = " ".repeat(names - visible(name) + 2);
			return `  ${style(name)}${gap}${fold(meaning, room).replaceAll("\n", `\n${indent}`)}`;
		})
		.join("\n");
}
