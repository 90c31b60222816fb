import { expect, it } from "vitest";
import {
	definitionList,
	StatusLine,
	sanitize,
	stylesFor,
	table,
	WordWrapper,
	wrapText,
} from "../../src/command/terminal.ts";

const ESC = "\u001b";
const TTY = { TERM: "xterm" };

/** An output that records what is written to it. */
const output = (columns?: number) => {
	const written: string[] = [];
	return {
		written,
		isTTY: columns !== undefined,
		...(columns !== undefined && { columns }),
		write: (text: string | Uint8Array) => {
			written.push(String(text));
			return true;
		},
	};
};

/** Renders the text, the new lines and the cursor movements that move a word down. */
function screen(written: string[]): string {
	const lines = [""];
	for (const [token] of written
		.join("")
		.matchAll(new RegExp(`${ESC}\\[\\d*[A-Z]|[^]`, "gu"))) {
		const last = lines.length - 1;
		const line = [...(lines[last] as string)];
		if (token === "\n") lines.push("");
		else if (token.endsWith("D") && token.startsWith(ESC))
			lines[last] = line.slice(0, -Number(token.slice(2, -1))).join("");
		else if (!token.startsWith(ESC)) lines[last] += token;
	}
	return lines.join("\n");
}

const wrapped = (pieces: string[], columns: number): string => {
	const out = output(columns);
	const text = new WordWrapper(out, TTY);
	for (const piece of pieces) text.write(piece);
	text.end();
	return screen(out.written);
};

it("an answer breaks between words, however its pieces are cut", () => {
	const text = "The quick brown fox jumps over a considerably lazy dog.";
	const expected =
		"The quick brown fox\njumps over a\nconsiderably lazy\ndog.\n";
	for (const size of [1, 2, 3, 7, 100]) {
		const pieces = text.match(new RegExp(`.{1,${size}}`, "g")) as string[];
		const lines = wrapped(pieces, 20)
			.split("\n")
			.map((line) => line.trimEnd());
		expect(lines.join("\n")).toBe(expected);
	}
});

it("an answer keeps its line breaks, and a word longer than a line breaks", () => {
	expect(wrapped(["a\n\nb"], 20)).toBe("a\n\nb\n");
	expect(wrapped(["x".repeat(45)], 20)).toBe(
		`${"x".repeat(19)}\n${"x".repeat(19)}\n${"x".repeat(7)}\n`,
	);
});

it("each piece of an answer is shown when it arrives", () => {
	const out = output(40);
	const text = new WordWrapper(out, TTY);
	text.write("un");
	text.write("finish");
	expect(out.written).toEqual(["un", "finish"]);
});

it("an answer in a file is unchanged", () => {
	const out = output();
	const text = new WordWrapper(out, {});
	text.write(`${"long ".repeat(100)}${ESC}[31m`);
	text.end();
	expect(out.written.join("")).toBe(`${"long ".repeat(100)}${ESC}[31m\n`);
});

it("text from the API cannot move the terminal's cursor", () => {
	expect(sanitize(`a${ESC}[2Jb\u0007\rc\u009bd\n\te`)).toBe("a[2Jbcd\n\te");
	expect(wrapped([`a${ESC}]0;title\u0007b`], 40)).toBe("a]0;titleb\n");
});

it("only a terminal gets colours, unless NO_COLOR is set", () => {
	const colored = (out: ReturnType<typeof output>, env: NodeJS.ProcessEnv) =>
		stylesFor(out, env).red("x") !== "x";
	expect(colored(output(80), TTY)).toBe(true);
	expect(colored(output(80), { ...TTY, NO_COLOR: "1" })).toBe(false);
	expect(colored(output(80), { ...TTY, NO_COLOR: "" })).toBe(true);
	expect(colored(output(80), { TERM: "dumb" })).toBe(false);
	expect(colored(output(), TTY)).toBe(false);
});

it("a status line never wraps, and is shown on a terminal only", () => {
	const out = output(20);
	new StatusLine(out, TTY).show("x".repeat(50));
	expect(out.written.join("").replace(`\r${ESC}[2K`, "")).toBe(
		`${"x".repeat(18)}…`,
	);
	const file = output();
	const line = new StatusLine(file, {});
	line.show("x");
	line.clear();
	expect(file.written).toEqual([]);
});

it("a table that is too wide becomes blocks with every value whole", () => {
	const style = { dim: (text: string) => text };
	const head = ["JOB", "STATUS"];
	const rows = [
		["01M84WD889R2171PG7W43D1YSG", "succeeded"],
		["2", ""],
	];
	expect(table(head, rows, 80, style)).toBe(
		"JOB                         STATUS\n01M84WD889R2171PG7W43D1YSG  succeeded\n2\n",
	);
	expect(table(head, rows, 30, style)).toBe(
		"JOB     01M84WD889R2171PG7W43D1YSG\nSTATUS  succeeded\n\nJOB     2\n",
	);
});

it("texts and lists fit their width", () => {
	expect(wrapText("one two three\nfour", 8)).toBe("one two\nthree\nfour");
	const entries = [["--a", "a meaning of several words"]] as const;
	for (const width of [30, 60, 200])
		for (const line of definitionList(entries, width, (text) => text).split(
			"\n",
		))
			expect(line.length).toBeLessThanOrEqual(width);
});
