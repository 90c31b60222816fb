/** `balance`, `models`, `upload` and `uploads`: what there is, and what is brought along. */
import type { Command } from "./command.ts";
import { UsageError } from "./exit.ts";
import { picture, send } from "./input.ts";
import { number } from "./options.ts";
import { harmless, table, widthOf } from "./terminal.ts";
import { ago, money, size } from "./words.ts";

const none = (words: string[]): void => {
	if (words.length > 0)
		throw new UsageError(`What is "${words[0]}"? Nothing comes here.`);
};

export const balance: Command = {
	name: "balance",
	usage: [""],
	summary: "Shows what the account has, and what running jobs hold of it.",
	options: [],
	async run({ client, json, style, print, document, interrupt }, words) {
		none(words);
		const account = await client.account.get({ signal: interrupt });
		if (json) return document(account);
		const { available, held } = account.balance;
		print(
			`${style.bold(money(available))} available${held > 0 ? `, ${money(held)} held for jobs that run` : ""} ${style.dim(`(account ${account.id})`)}`,
		);
	},
};

export const models: Command = {
	name: "models",
	usage: [""],
	summary:
		"Lists the models; the first one answers unless --model names another.",
	about: "Needs no key.",
	options: [],
	async run({ client, json, out, style, print, document, interrupt }, words) {
		none(words);
		const models = [];
		for await (const model of client.models.list({ signal: interrupt }))
			models.push(model);
		if (json) return document(models);
		const rows = models.map((model) => [
			style.bold(harmless(model.id)),
			money(model.price),
			String(model.context_length),
			String(model.image_tokens),
			String(model.max_images),
		]);
		print(
			table(
				["MODEL", "A JOB", "CONTEXT", "AN IMAGE", "IMAGES"],
				rows,
				widthOf(out),
				style,
			).trimEnd(),
		);
	},
};

export const upload: Command = {
	name: "upload",
	usage: ["IMAGE [IMAGE…]", "- < photo.jpg"],
	summary:
		"Uploads images to ask about more than once; each is kept for 30 days.",
	about: "Prints the id of each, to be named where an image is asked for.",
	options: [],
	async run(context, words) {
		const { json, print, note, document, style } = context;
		const named = words.length === 0 && context.input ? ["-"] : words;
		if (named.length === 0) throw new UsageError("Which image?");
		const pictures = [];
		for (const word of named) {
			const each = await picture(context, word);
			if (each.kind !== "bytes")
				throw new UsageError(`${word} is no file. Only files are uploaded.`);
			pictures.push(each);
		}
		const uploads = [];
		for (const each of pictures) {
			const upload = await send(context, each);
			uploads.push(upload);
			if (json) continue;
			print(upload.id);
			note(
				style.dim(
					`${harmless(each.name)}: ${upload.width} × ${upload.height}, ${size(upload.bytes)}`,
				),
			);
		}
		if (json) document(uploads.length === 1 ? uploads[0] : uploads);
	},
};

const LISTED = 20;

export const uploads: Command = {
	name: "uploads list",
	usage: ["[--limit N]"],
	summary: "Lists the account's uploads, newest first.",
	about: `${LISTED} unless --limit says otherwise. \`minigpt4 uploads\` alone does the same.`,
	options: ["limit"],
	async run(context, words) {
		const { client, json, values, out, style, now, note, print, document } =
			context;
		none(words);
		const most = number("limit", values.limit) ?? LISTED;
		if (!Number.isInteger(most) || most < 1)
			throw new UsageError("--limit needs a whole number from 1 on.");
		const listed = [];
		const pages = client.uploads.list({
			limit: Math.min(100, most),
			signal: context.interrupt,
		});
		for await (const upload of pages) {
			listed.push(upload);
			if (listed.length === most) break;
		}
		if (json) return document(listed);
		if (listed.length === 0)
			return note("No uploads yet. The first one: minigpt4 upload photo.jpg");
		const rows = listed.map(
			({ id, status, bytes, width, height, created_at }) => [
				id,
				status,
				width === null ? "" : `${width} × ${height}`,
				size(bytes),
				ago(created_at, now()),
			],
		);
		print(
			table(
				["UPLOAD", "STATUS", "PIXELS", "SIZE", "MADE"],
				rows,
				widthOf(out),
				style,
			).trimEnd(),
		);
	},
};
