/** The code samples of a Markdown document, and of the doc comments of a source. */

export interface Sample {
	/** Where it stands, to find it by. */
	line: number;
	/** The first word behind the fence: `sh`, `ts`, … */
	language: string;
	/** The words after it: `background`, `file=name`. */
	words: string[];
	code: string;
}

/** Every fenced block, in order. @throws where a fence is left open */
export function samplesOf(markdown: string): Sample[] {
	const samples: Sample[] = [];
	let open: Sample | null = null;
	for (const [n, line] of markdown.split("\n").entries()) {
		const fence = /^```(.*)$/.exec(line);
		if (!fence) {
			if (open) open.code += `${line}\n`;
		} else if (open) {
			samples.push(open);
			open = null;
		} else {
			const [language = "", ...words] = fence[1]?.trim().split(/\s+/) ?? [];
			open = { line: n + 1, language, words, code: "" };
		}
	}
	if (open) throw new Error(`the fence of line ${open.line} stays open`);
	return samples;
}

/**
 * Every fenced block in a TypeScript source's doc comments, in order. One that calls `client`
 * without making it gets the line that does, as the client's own documentation says.
 */
export function examplesOf(source: string): Sample[] {
	const comments = source
		.split("\n")
		.map((line) => /^\s*\* ?(.*)$/.exec(line)?.[1] ?? "")
		.join("\n");
	return samplesOf(comments).map((sample) => ({
		...sample,
		code:
			/\bclient\./.test(sample.code) && !/const client\b/.test(sample.code)
				? `${CLIENT}${sample.code}`
				: sample.code,
	}));
}

const CLIENT = `import { MiniGPT4 } from "minigpt4";
const client = new MiniGPT4();
`;
