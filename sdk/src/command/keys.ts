/** `keys`: the account's API keys. */
import type { Command } from "./command.ts";
import { UsageError } from "./exit.ts";
import { ago } from "./format.ts";
import { sanitize, table, widthOf } from "./terminal.ts";

export const list: Command = {
	name: "keys list",
	usage: [""],
	summary: "Lists the account's keys, without their secrets.",
	options: [],
	async run(
		{ client, json, out, style, now, print, printJSON, interrupt },
		args,
	) {
		if (args.length > 0)
			throw new UsageError(`There is no \`keys ${args[0]}\`.`);
		const keys = [];
		for await (const key of client.keys.list({ signal: interrupt }))
			keys.push(key);
		if (json) return printJSON(keys);
		const rows = keys.map((key) => [
			key.id,
			key.revoked_at
				? style.dim("revoked")
				: key.current
					? style.green("this one")
					: "live",
			ago(key.created_at, now()),
			key.origins?.join(" ") ?? "any",
			sanitize(key.name),
		]);
		print(
			table(
				["KEY", "STATE", "CREATED", "ORIGINS", "NAME"],
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
	summary: "Creates an API key, and shows it this once.",
	about: [
		"A key with --origin is for web pages. It works on pages of that origin only, and has access",
		"only to the jobs and uploads that it created. Everybody can read it in the page, so keep no",
		"more credit in its account than you can lose.",
	].join(" "),
	options: ["origin"],
	async run(
		{ client, json, values, style, print, note, printJSON, interrupt },
		args,
	) {
		const [name, ...more] = args;
		if (!name) throw new UsageError("Name the key: minigpt4 keys create NAME");
		if (more.length > 0)
			throw new UsageError(
				`Put a name with spaces into quotes: "${args.join(" ")}".`,
			);
		const key = await client.keys.create(
			{ name, ...(values.origin && { origins: values.origin }) },
			{ signal: interrupt },
		);
		if (json) return printJSON(key);
		print(key.key);
		note(
			style.dim(
				`${key.id}: the API shows this key once. To use it: export MINIGPT4_API_KEY=…`,
			),
		);
	},
};

export const revoke: Command = {
	name: "keys revoke",
	usage: ["KEY"],
	summary:
		"Revokes a key, by its id. The API refuses it from the next call on.",
	options: [],
	async run({ client, json, print, printJSON, interrupt }, args) {
		const [id, ...more] = args;
		if (!id)
			throw new UsageError("Which key? `minigpt4 keys list` shows their ids.");
		if (more.length > 0) throw new UsageError("Revoke one key at a time.");
		if (id.startsWith("mg_"))
			throw new UsageError(
				[
					"This is the key itself, which is now in your shell's history.",
					"Pass its id (key_…) instead: `minigpt4 keys list` shows it.",
				].join(" "),
			);
		const key = await client.keys.revoke(id, { signal: interrupt });
		if (json) printJSON(key);
		else print(`Revoked ${key.id} (${sanitize(key.name)}).`);
	},
};
