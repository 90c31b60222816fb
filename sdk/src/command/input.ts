/** What a question is made of: images and words, named on the command line or piped in. */
import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import type { Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { bar, cut, widthOf } from "./terminal.ts";
import { size } from "./words.ts";

/** An image: of the API's own, or bytes from here. */
export type Picture =
	| { kind: "upload"; upload: string }
	| { kind: "url"; url: string }
	| { kind: "bytes"; name: string; bytes: Uint8Array<ArrayBuffer> };

/** What is piped in stands for this. */
export const STDIN = "-";

const MOST_BYTES = 20 * 1024 * 1024;

/** Everything on standard input. @throws UsageError where that is nothing */
async function piped(
	{ input }: Context,
	what: string,
): Promise<Uint8Array<ArrayBuffer>> {
	if (!input)
		throw new UsageError(
			`Nothing is piped in, and - stands for ${what} from there.`,
		);
	const chunks: Uint8Array[] = [];
	let length = 0;
	for await (const chunk of input) {
		chunks.push(chunk);
		length += chunk.length;
		if (length > MOST_BYTES)
			throw new UsageError(
				`What is piped in is over ${size(MOST_BYTES)}, and no image may be.`,
			);
	}
	if (length === 0)
		throw new UsageError(`Standard input is empty; it should be ${what}.`);
	return new Uint8Array(Buffer.concat(chunks));
}

/** @throws UsageError where it is no text */
export async function pipedText(context: Context): Promise<string> {
	const bytes = await piped(context, "the question");
	try {
		const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes).trim();
		if (text) return text;
	} catch {
		throw new UsageError(
			'What is piped in is no text. For an image, write - in the image\'s place: minigpt4 ask - "question".',
		);
	}
	throw new UsageError("Standard input is empty; it should be the question.");
}

/** @throws UsageError for what cannot be read or is no image */
export async function picture(
	context: Context,
	word: string,
): Promise<Picture> {
	if (/^img_[0-9A-Z]{26}$/.test(word)) return { kind: "upload", upload: word };
	if (/^(https|data):/i.test(word)) return { kind: "url", url: word };
	if (/^http:/i.test(word))
		throw new UsageError(
			`${word}: only https: addresses are fetched. Download it and name the file.`,
		);
	const [name, bytes] =
		word === STDIN
			? ["standard input", await piped(context, "an image")]
			: [word, await file(word)];
	if (!isImage(bytes))
		throw new UsageError(`${name} is no JPEG, PNG, WebP or GIF image.`);
	return { kind: "bytes", name, bytes };
}

async function file(path: string): Promise<Uint8Array<ArrayBuffer>> {
	try {
		const found = await stat(path);
		if (found.isDirectory())
			throw new UsageError(`${path} is a folder, not an image.`);
		if (found.size > MOST_BYTES)
			throw new UsageError(
				`${path} has ${size(found.size)}; an image may have ${size(MOST_BYTES)}. Scale it down: the model sees a few hundred pixels a side.`,
			);
		if (found.isFile() && found.size === 0)
			throw new UsageError(`${path} is empty.`);
		return new Uint8Array(await readFile(path));
	} catch (error) {
		if (error instanceof UsageError) throw error;
		const why = {
			ENOENT: "There is no file",
			EACCES: "There is no permission to read",
		}[(error as { code?: string }).code ?? ""];
		throw new UsageError(
			why
				? `${why} ${path}.`
				: `${path} cannot be read: ${(error as Error).message}`,
		);
	}
}

/** Whether a word of the command line names a file. */
export const isFile = (path: string): Promise<boolean> =>
	stat(path).then(
		() => true,
		() => false,
	);

/** By its first bytes: names are often wrong. */
function isImage(bytes: Uint8Array): boolean {
	const head = Buffer.from(bytes.subarray(0, 12)).toString("latin1");
	return (
		["\xff\xd8\xff", "\x89PNG\r\n\x1a\n", "GIF87a", "GIF89a"].some((magic) =>
			head.startsWith(magic),
		) ||
		(head.startsWith("RIFF") && head.endsWith("WEBP"))
	);
}

/** Sends an image's bytes, with a bar on a terminal. */
export async function send(
	{ client, status, err, interrupt }: Context,
	{ name, bytes }: Extract<Picture, { kind: "bytes" }>,
) {
	const label = cut(
		basename(name),
		Math.max(8, Math.min(28, widthOf(err) - 34)),
	);
	try {
		return await client.uploads.create(bytes, {
			signal: interrupt,
			onProgress: ({ loaded, total }) => {
				const part = total ? loaded / total : 1;
				const tail = ` ${String(Math.round(part * 100)).padStart(3)} %  ${size(total)}`;
				const room = Math.min(
					30,
					widthOf(err) - label.length - tail.length - 3,
				);
				status.show(`${label}  ${room >= 6 ? bar(part, room) : ""}${tail}`);
			},
		});
	} finally {
		status.clear();
	}
}
