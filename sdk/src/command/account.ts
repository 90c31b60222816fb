/** `balance`, `models`, `upload` and `uploads`. */
import type { Command } from "./command.ts";
import { UsageError } from "./exit.ts";
import { ago, money, size } from "./format.ts";
import { readImageInput, uploadImage } from "./input.ts";
import { MAX_PAGE, parseLimit } from "./options.ts";
import { sanitize, table, widthOf } from "./terminal.ts";

const noArguments = (args: string[]): void => {
	if (args.length > 0)
		throw new UsageError(
			`This command takes no argument such as "${args[0]}".`,
		);
};

export const balance: Command = {
	name: "balance",
	usage: [""],
	summary: "Shows the account's balance, and how much of it running jobs hold.",
	options: [],
	async run({ client, json, style, print, printJSON, interrupt }, args) {
		noArguments(args);
		const account = await client.account.get({ signal: interrupt });
		if (json) return printJSON(account);
		const { available, held } = account.balance;
		const holds = held > 0 ? `, ${money(held)} held for running jobs` : "";
		const id = style.dim(`(account ${account.id})`);
		print(`${style.bold(money(available))} available${holds} ${id}`);
	},
};

export const models: Command = {
	name: "models",
	usage: [""],
	summary: "Lists the models. The first one is the default of --model.",
	about: "Needs no key.",
	options: [],
	async run({ client, json, out, style, print, printJSON, interrupt }, args) {
		noArguments(args);
		const models = [];
		for await (const model of client.models.list({ signal: interrupt }))
			models.push(model);
		if (json) return printJSON(models);
		const rows = models.map((model) => [
			style.bold(sanitize(model.id)),
			money(model.prices.prompt_tokens.rate),
			money(model.prices.output_tokens.rate),
			money(model.prices.images.rate),
			String(model.context_length),
			String(model.image_tokens),
			String(model.max_images),
		]);
		print(
			table(
				[
					"MODEL",
					"1M PROMPT",
					"1M OUTPUT",
					"1K IMAGES",
					"CONTEXT",
					"IMAGE TOKENS",
					"MAX IMAGES",
				],
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
		"Uploads images to ask about more than once. The API keeps them for 30 days.",
	about: "Prints the id of each. Use it in the place of IMAGE.",
	options: [],
	async run(context, args) {
		const { json, print, note, printJSON, style } = context;
		const named = args.length === 0 && context.input ? ["-"] : args;
		if (named.length === 0) throw new UsageError("Which image?");
		const inputs = [];
		for (const arg of named) {
			const input = await readImageInput(context, arg);
			if (input.kind !== "bytes")
				throw new UsageError(
					`${arg} is not a file. Only files can be uploaded.`,
				);
			inputs.push(input);
		}
		const uploads = [];
		for (const input of inputs) {
			const upload = await uploadImage(context, input);
			uploads.push(upload);
			if (json) continue;
			print(upload.id);
			note(
				style.dim(
					`${sanitize(input.name)}: ${upload.width} × ${upload.height}, ${size(upload.bytes)}`,
				),
			);
		}
		if (json) printJSON(uploads.length === 1 ? uploads[0] : uploads);
	},
};

export const uploads: Command = {
	name: "uploads list",
	usage: ["[--limit N]"],
	summary: "Lists the account's uploads, newest first.",
	about: "`minigpt4 uploads` does the same.",
	options: ["limit"],
	async run(context, args) {
		const { client, json, values, out, style, now, note, print, printJSON } =
			context;
		noArguments(args);
		const limit = parseLimit(values.limit);
		const listed = [];
		const pages = client.uploads.list({
			limit: Math.min(MAX_PAGE, limit),
			signal: context.interrupt,
		});
		for await (const upload of pages) {
			listed.push(upload);
			if (listed.length === limit) break;
		}
		if (json) return printJSON(listed);
		if (listed.length === 0)
			return note("No uploads yet. To upload one: minigpt4 upload photo.jpg");
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
				["UPLOAD", "STATUS", "PIXELS", "SIZE", "UPLOADED"],
				rows,
				widthOf(out),
				style,
			).trimEnd(),
		);
	},
};
