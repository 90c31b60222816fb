/** `receipt`: signed receipts of jobs, and how to verify them without the API. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import {
	type Receipt,
	ReceiptError,
	type ReceiptKeys,
	receipts,
} from "../index.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./exit.ts";
import { money, plural } from "./format.ts";
import { definitionList, widthOf } from "./terminal.ts";

export const get: Command = {
	name: "receipt get",
	usage: ["JOB > receipt.json"],
	summary: "Prints the signed receipt of a job that has ended.",
	about:
		"Keep it beside the answer: a job that was deleted has no receipt any more.",
	options: [],
	async run({ client, printJSON, interrupt }, args) {
		const [id, ...more] = args;
		if (!id) throw new UsageError("Which job? `minigpt4 jobs` lists them.");
		if (more.length > 0) throw new UsageError("One job at a time.");
		printJSON(await client.jobs.receipt(id, { signal: interrupt }));
	},
};

export const keys: Command = {
	name: "receipt keys",
	usage: ["> keys.json"],
	summary: "Prints the public keys that receipts are verified with.",
	about:
		"Needs no key of yours. Keep them: `receipt verify` then needs no network.",
	options: [],
	async run({ client, printJSON, interrupt }, args) {
		if (args.length > 0)
			throw new UsageError(
				`This command takes no argument such as "${args[0]}".`,
			);
		printJSON(await client.receiptKeys({ signal: interrupt }));
	},
};

export const verify: Command = {
	name: "receipt verify",
	usage: ["RECEIPT.json --keys KEYS.json [--answer ANSWER.txt]"],
	summary: "Verifies a receipt, without the API and without a key.",
	about: [
		"Checks the signature, and that the request beside it is the one that was signed. With",
		"--answer, also that the file holds the answer to the byte. Take the keys from the API that",
		"you trust (`receipt keys`), not from whoever shows you the receipt.",
	].join(" "),
	options: ["keys", "answer"],
	async run({ json, values, out, style, print, printJSON }, args) {
		const [path, ...more] = args;
		if (!path) throw new UsageError("Which receipt? Name its file.");
		if (more.length > 0) throw new UsageError("One receipt at a time.");
		if (values.keys === undefined)
			throw new UsageError(
				"Which keys? --keys names the file that `minigpt4 receipt keys` wrote.",
			);
		const { receipt, request } = await readJSON<Receipt>(path, "receipt");
		const trusted = await readJSON<ReceiptKeys>(values.keys, "keys");
		const claims = await receipts.verify(receipt, trusted);
		if (sha256(request) !== claims.request_sha256)
			throw new ReceiptError(
				"request_mismatch",
				"`request` is not what the receipt was signed for.",
			);
		if (
			values.answer !== undefined &&
			sha256(await read(values.answer)) !== claims.output_sha256
		)
			throw new ReceiptError(
				"answer_mismatch",
				`${values.answer} is not the answer that the receipt was signed for.`,
			);
		if (json) return printJSON(claims);
		const { usage, model, model_digests } = claims;
		const weights = model_digests.map((digest) => digest.slice(0, 12));
		print(style.green(`The receipt of job ${claims.jti} is genuine.`));
		const rows: [string, string][] = [
			["signed by", claims.iss],
			["account", claims.sub],
			["ended", `${claims.finished_at}, ${claims.status}`],
			[
				"model",
				[model, ...(weights.length > 0 ? ["weights", ...weights] : [])].join(
					" ",
				),
			],
			[
				"usage",
				[
					plural(usage.prompt_tokens ?? 0, "prompt token"),
					plural(usage.output_tokens, "output token"),
					plural(usage.images, "image"),
				].join(", "),
			],
			["price", money(claims.price)],
		];
		print(definitionList(rows, widthOf(out), style.cyan).trimEnd());
	},
};

const sha256 = (data: string | Uint8Array) =>
	createHash("sha256").update(data).digest("hex");

async function read(path: string): Promise<Buffer> {
	try {
		return await readFile(path);
	} catch {
		throw new UsageError(`There is no file ${path} that can be read.`);
	}
}

/** @param member that the file's object has */
async function readJSON<T extends object>(
	path: string,
	member: keyof T & string,
): Promise<T> {
	const text = (await read(path)).toString();
	try {
		const value = JSON.parse(text);
		if (typeof value === "object" && value !== null && member in value)
			return value;
	} catch {}
	throw new UsageError(`${path} is not JSON with a \`${member}\`.`);
}
