/**
 * Output for a terminal: styles, status lines, wrapped text, tables. Where the output is not a
 * terminal, the same text is plain and nothing is redrawn.
 */
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

/** Returns colours for a terminal, unless NO_COLOR is set (no-color.org). */
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

/** Returns the terminal's columns; infinitely many for other outputs. */
export const widthOf = (out: Output): number =>
	out.isTTY ? Math.max(20, out.columns || 80) : Number.POSITIVE_INFINITY;

// biome-ignore lint/suspicious/noControlCharactersInRegex: it finds control characters
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/** Removes control characters from text that another party wrote. */
export const sanitize = (text: string): string => text.replace(CONTROL, "");

// biome-ignore lint/suspicious/noControlCharactersInRegex: it finds the escapes written above
const STYLED = /\x1b\[\d+m/g;

export const visibleLength = (text: string): number =>
	[...text.replace(STYLED, "")].length;

/** Cuts the text to this many columns, with an ellipsis at its end. */
export const truncate = (text: string, width: number): string => {
	const letters = [...text];
	return letters.length <= width
		? text
		: `${letters.slice(0, Math.max(0, width - 1)).join("")}…`;
};

/** A line that shows progress and is redrawn in place. It does nothing without a terminal. */
export class StatusLine {
	readonly #out: Output;
	readonly #live: boolean;
	#shown = "";

	constructor(out: Output, env: NodeJS.ProcessEnv) {
		this.#out = out;
		this.#live = out.isTTY === true && env.TERM !== "dumb";
	}

	/** Cuts a long text, because a line that wraps cannot be redrawn. */
	show(text: string): void {
		if (!this.#live) return;
		const line =
			visibleLength(text) < widthOf(this.#out)
				? text
				: truncate(text.replace(STYLED, ""), widthOf(this.#out) - 1);
		if (line === this.#shown) return;
		this.#out.write(`\r${ESC}[2K${line}`);
		this.#shown = line;
	}

	clear(): void {
		if (this.#shown) this.#out.write(`\r${ESC}[2K`);
		this.#shown = "";
	}
}

/** Draws a progress bar, `████████░░░░`. `part` is from 0 to 1. */
export function bar(part: number, columns: number): string {
	const filled = Math.round(Math.min(1, Math.max(0, part)) * columns);
	return "█".repeat(filled) + "░".repeat(columns - filled);
}

/** East Asian wide characters and emoji take two columns. */
const WIDE = [
	/[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/,
	/\p{Emoji_Presentation}/u,
];
const columnsOf = (letter: string): number =>
	WIDE.some((wide) => wide.test(letter)) ? 2 : 1;

/**
 * Shows text that arrives in pieces, each at once, and breaks its lines between words. A word that
 * turns out not to fit moves to the next line.
 */
export class WordWrapper {
	readonly #out: Output;
	/** One column less than the terminal has, because terminals differ at the last column. */
	readonly #width: number;
	#column = 0;
	/** The part of the last word that is shown. */
	#word = "";
	#wordColumns = 0;

	constructor(out: Output, env: NodeJS.ProcessEnv) {
		this.#out = out;
		this.#width =
			env.TERM === "dumb" ? Number.POSITIVE_INFINITY : widthOf(out) - 1;
	}

	write(text: string): void {
		let shown = "";
		for (const letter of this.#out.isTTY ? sanitize(text) : text) {
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
 * Lays rows out in columns, each as wide as its widest cell. If the terminal is too narrow, each
 * row becomes a block of lines, so that every value can still be copied.
 */
export function table(
	head: readonly string[],
	rows: readonly (readonly string[])[],
	width: number,
	{ dim }: Pick<Styles, "dim">,
): string {
	const widths = head.map((title, n) =>
		Math.max(title.length, ...rows.map((row) => visibleLength(row[n] ?? ""))),
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
			.map(
				(cell, n) => cell + " ".repeat((widths[n] ?? 0) - visibleLength(cell)),
			)
			.join("  ")
			.trimEnd()}\n`;
	return `${dim(line(head).trimEnd())}\n${rows.map(line).join("")}`;
}

/** Breaks a text between words into lines of this width. Its own line breaks stay. */
export function wrapText(text: string, width: number): string {
	return text
		.split("\n")
		.map((paragraph) => {
			let column = 0;
			let folded = "";
			for (const word of paragraph.split(" ")) {
				const long = visibleLength(word);
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

/** Lays out names and their meanings: side by side, or below each other if the width is small. */
export function definitionList(
	entries: readonly (readonly [name: string, meaning: string])[],
	width: number,
	style: Style,
): string {
	const nameWidth = Math.max(...entries.map(([name]) => visibleLength(name)));
	const room = width - nameWidth - 4;
	if (room < 28)
		return entries
			.map(
				([name, meaning]) =>
					`  ${style(name)}\n    ${wrapText(meaning, width - 4).replaceAll("\n", "\n    ")}`,
			)
			.join("\n");
	const indent = " ".repeat(nameWidth + 4);
	return entries
		.map(([name, meaning]) => {
			const gap = " ".repeat(nameWidth - visibleLength(name) + 2);
			return `  ${style(name)}${gap}${wrapText(meaning, room).replaceAll("\n", `\n${indent}`)}`;
		})
		.join("\n");
}
