/** `export`: all that the account has, for its owner to keep. */
import { GoneError, type MiniGPT4, NotFoundError } from "../index.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./exit.ts";

export const exportAll: Command = {
	name: "export",
	usage: ["> account.jsonl"],
	summary:
		"Prints all that the account has, an object of the API in each line.",
	about: [
		"The account, its keys without their secrets, webhooks, uploads, jobs with their texts, and",
		"the ledger. Pictures are not in it: /v1/files/{id}/content has them.",
	].join(" "),
	options: [],
	async run({ client, status, out, note, style, interrupt }, args) {
		if (args.length > 0)
			throw new UsageError(
				"This command takes no argument. Send its output to a file.",
			);
		let count = 0;
		for await (const object of everything(client, interrupt)) {
			out.write(`${JSON.stringify(object)}\n`);
			status.show(`${++count} objects`);
		}
		status.clear();
		note(style.dim(`${count} objects.`));
	},
};

/** The account's objects, as the API shows each of them. */
async function* everything(
	client: MiniGPT4,
	signal: AbortSignal,
): AsyncGenerator<object> {
	yield await client.account.get({ signal });
	yield* client.keys.list({ signal });
	yield* client.webhooks.list({ signal });
	yield* client.uploads.list({ signal });
	for await (const { id } of client.jobs.list({ signal })) {
		try {
			yield await client.jobs.get(id, { signal });
		} catch (error) {
			// It was deleted, or expired, meanwhile.
			if (!(error instanceof GoneError || error instanceof NotFoundError))
				throw error;
		}
	}
	yield* client.ledger.list({ signal });
}
