import { expect, it } from "vitest";
import {
	fold,
	glossary,
	harmless,
	StatusLine,
	stylesFor,
	table,
	Wrapped,
} from "../../src/command/terminal.ts";

const ESC = "\u001b";
const TTY = { TERM: "xterm" };

/** An output that keeps what it is told. */
const output = (columns?: number) => {
	const told: string[] = [];
	return {
		told,
		isTTY: columns !== undefined,
		...(columns !== undefined && { columns }),
		write: (text: string | Uint8Array) => {
			told.push(String(text));
			return true;
		},
	};
};

/** What stands on the screen: letters, new lines, and the way back that a word is taken. */
function screen(told: string[]): string {
	const lines = [""];
	for (const [token] of told
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
	const text = new Wrapped(out, TTY);
	for (const piece of pieces) text.write(piece);
	text.end();
	return screen(out.told);
};

it("an answer is broken between words, however its pieces are cut", () => {
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

it("an answer keeps its own line breaks, and a word longer than a line is broken", () => {
	expect(wrapped(["a\n\nb"], 20)).toBe("a\n\nb\n");
	expect(wrapped(["x".repeat(45)], 20)).toBe(
		`${"x".repeat(19)}\n${"x".repeat(19)}\n${"x".repeat(7)}\n`,
	);
});

it("each piece of an answer is shown when it comes", () => {
	const out = output(40);
	const text = new Wrapped(out, TTY);
	text.write("un");
	text.write("finish");
	expect(out.told).toEqual(["un", "finish"]);
});

it("an answer goes into a file as it is", () => {
	const out = output();
	const text = new Wrapped(out, {});
	text.write(`${"long ".repeat(100)}${ESC}[31m`);
	text.end();
	expect(out.told.join("")).toBe(`${"long ".repeat(100)}${ESC}[31m\n`);
});

it("what comes from elsewhere cannot move a terminal's cursor", () => {
	expect(harmless(`a${ESC}[2Jb\u0007\rc\u009bd\n\te`)).toBe("a[2Jbcd\n\te");
	expect(wrapped([`a${ESC}]0;title\u0007b`], 40)).toBe("a]0;titleb\n");
});

it("colours are for terminals that want them", () => {
	const colored = (out: ReturnType<typeof output>, env: NodeJS.ProcessEnv) =>
		stylesFor(out, env).red("x") !== "x";
	expect(colored(output(80), TTY)).toBe(true);
	expect(colored(output(80), { ...TTY, NO_COLOR: "1" })).toBe(false);
	expect(colored(output(80), { ...TTY, NO_COLOR: "" })).toBe(true);
	expect(colored(output(80), { TERM: "dumb" })).toBe(false);
	expect(colored(output(), TTY)).toBe(false);
});

it("a status line never wraps, and does not exist where nobody looks", () => {
	const out = output(20);
	new StatusLine(out, TTY).show("x".repeat(50));
	expect(out.told.join("").replace(`\r${ESC}[2K`, "")).toBe(
		`${"x".repeat(18)}…`,
	);
	const file = output();
	const line = new StatusLine(file, {});
	line.show("x");
	line.clear();
	expect(file.told).toEqual([]);
});

it("a table that is too wide becomes blocks, from which nothing is cut", () => {
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
	expect(fold("one two three\nfour", 8)).toBe("one two\nthree\nfour");
	const entries = [["--a", "a meaning of several words"]] as const;
	for (const width of [30, 60, 200])
		for (const line of glossary(entries, width, (text) => text).split("\n"))
			expect(line.length).toBeLessThanOrEqual(width);
});
