/** `keys`: the account's API keys. */
import type { Command } from "./command.ts";
import { UsageError } from "./exit.ts";
import { harmless, table, widthOf } from "./terminal.ts";
import { ago } from "./words.ts";

export const list: Command = {
	name: "keys list",
	usage: [""],
	summary: "Lists the account's keys, without their secrets.",
	options: [],
	async run(
		{ client, json, out, style, now, print, document, interrupt },
		words,
	) {
		if (words.length > 0)
			throw new UsageError(`There is no \`keys ${words[0]}\`.`);
		const keys = [];
		for await (const key of client.keys.list({ signal: interrupt }))
			keys.push(key);
		if (json) return document(keys);
		const rows = keys.map((key) => [
			key.id,
			key.revoked_at
				? style.dim("revoked")
				: key.current
					? style.green("this one")
					: "live",
			ago(key.created_at, now()),
			key.origins?.join(" ") ?? "any",
			harmless(key.name),
		]);
		print(
			table(
				["KEY", "STATE", "MADE", "PAGES", "NAME"],
				rows,
				widthOf(out),
				style,
			).trimEnd(),
		);
	},
};

export const create: Command = {
	name: "keys create",
	usage: ["NAME [--origin https://app.example.com]"],
	summary: "Makes an API key. It is shown this once.",
	about:
		"With --origin it is for web pages: it works there alone, and sees and touches only what it made itself. It is still public, so its account should hold no more credit than you would lose.",
	options: ["origin"],
	async run(
		{ client, json, values, style, print, note, document, interrupt },
		words,
	) {
		const [name, ...more] = words;
		if (!name)
			throw new UsageError("What is it called? minigpt4 keys create NAME");
		if (more.length > 0)
			throw new UsageError(
				`A name with spaces goes into quotes: "${words.join(" ")}".`,
			);
		const key = await client.keys.create(
			{ name, ...(values.origin && { origins: values.origin }) },
			{ signal: interrupt },
		);
		if (json) return document(key);
		print(key.key);
		note(
			style.dim(
				`${key.id}: shown this once. To use it: export MINIGPT4_API_KEY=…`,
			),
		);
	},
};

export const revoke: Command = {
	name: "keys revoke",
	usage: ["KEY"],
	summary: "Revokes a key, by its id. It is refused from the next call on.",
	options: [],
	async run({ client, json, print, document, interrupt }, words) {
		const [id, ...more] = words;
		if (!id)
			throw new UsageError("Which key? `minigpt4 keys list` shows their ids.");
		if (more.length > 0) throw new UsageError("One key at a time.");
		if (id.startsWith("mg_"))
			throw new UsageError(
				"That is the key itself, which now is in your shell's history. Name its id (key_…): `minigpt4 keys list` shows it.",
			);
		const key = await client.keys.revoke(id, { signal: interrupt });
		if (json) document(key);
		else print(`Revoked ${key.id} (${harmless(key.name)}).`);
	},
};
