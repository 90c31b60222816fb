/** Reads the images and the question, from files or from standard input. */
import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import type { Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { size } from "./format.ts";
import { bar, truncate, widthOf } from "./terminal.ts";

/** An image that the API has or fetches, or bytes to upload. */
export type ImageInput =
	| { kind: "upload"; upload: string }
	| { kind: "url"; url: string }
	| { kind: "bytes"; name: string; bytes: Uint8Array<ArrayBuffer> };

/** This argument stands for standard input. */
export const STDIN = "-";

const MAX_BYTES = 20 * 1024 * 1024;

/** Reads standard input. @throws UsageError if it is missing, empty or too large */
async function readStdin(
	{ input }: Context,
	what: string,
): Promise<Uint8Array<ArrayBuffer>> {
	if (!input)
		throw new UsageError(
			`- reads ${what} from standard input, but nothing is piped in.`,
		);
	const chunks: Uint8Array[] = [];
	let length = 0;
	for await (const chunk of input) {
		chunks.push(chunk);
		length += chunk.length;
		if (length > MAX_BYTES)
			throw new UsageError(
				`Standard input is over ${size(MAX_BYTES)}, which is the limit for an image.`,
			);
	}
	if (length === 0)
		throw new UsageError(`Standard input is empty; it should be ${what}.`);
	return new Uint8Array(Buffer.concat(chunks));
}

/** Reads the question from standard input. @throws UsageError if it is not text */
export async function readQuestion(context: Context): Promise<string> {
	const bytes = await readStdin(context, "the question");
	try {
		const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes).trim();
		if (text) return text;
	} catch {
		throw new UsageError(
			[
				"Standard input is not text.",
				'To pipe an image, put - in its place: minigpt4 ask - "question".',
			].join(" "),
		);
	}
	throw new UsageError("Standard input is empty; it should be the question.");
}

/**
 * Reads the image that an argument names.
 *
 * @throws UsageError if it cannot be read or is not an image
 */
export async function readImageInput(
	context: Context,
	arg: string,
): Promise<ImageInput> {
	if (/^img_[0-9A-Z]{26}$/.test(arg)) return { kind: "upload", upload: arg };
	if (/^(https|data):/i.test(arg)) return { kind: "url", url: arg };
	if (/^http:/i.test(arg))
		throw new UsageError(
			`${arg}: the API fetches only https: addresses. Download the image and name the file.`,
		);
	const [name, bytes] =
		arg === STDIN
			? ["standard input", await readStdin(context, "an image")]
			: [arg, await readImageFile(arg)];
	if (!isImage(bytes))
		throw new UsageError(`${name} is no JPEG, PNG, WebP or GIF image.`);
	return { kind: "bytes", name, bytes };
}

async function readImageFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
	try {
		const found = await stat(path);
		if (found.isDirectory())
			throw new UsageError(`${path} is a folder, not an image.`);
		if (found.size > MAX_BYTES)
			throw new UsageError(
				[
					`${path} has ${size(found.size)}, and the limit is ${size(MAX_BYTES)}.`,
					"Scale it down; the model sees a few hundred pixels a side.",
				].join(" "),
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

/** Whether a file of this name exists. */
export const isFile = (path: string): Promise<boolean> =>
	stat(path).then(
		() => true,
		() => false,
	);

/** Tells by the first bytes, because file names are often wrong. */
function isImage(bytes: Uint8Array): boolean {
	const head = Buffer.from(bytes.subarray(0, 12)).toString("latin1");
	return (
		["\xff\xd8\xff", "\x89PNG\r\n\x1a\n", "GIF87a", "GIF89a"].some((magic) =>
			head.startsWith(magic),
		) ||
		(head.startsWith("RIFF") && head.endsWith("WEBP"))
	);
}

/** Uploads an image, with a progress bar on a terminal. */
export async function uploadImage(
	{ client, status, err, interrupt }: Context,
	{ name, bytes }: Extract<ImageInput, { kind: "bytes" }>,
) {
	const label = truncate(
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
