/** `keys`: the account's API keys. */
import type { Key, KeyChange } from "../index.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./exit.ts";
import { ago } from "./format.ts";
import {
	type ParsedArgs,
	parseDuration,
	parseList,
	parseSpend,
	parseTime,
} from "./options.ts";
import { type Styles, sanitize, table, widthOf } from "./terminal.ts";

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
			stateOf(key, now(), style),
			key.last_used_at ? ago(key.last_used_at, now()) : "never",
			key.scopes.join(" "),
			(key.origins ?? key.ip_ranges)?.join(" ") ?? "any",
			sanitize(key.name),
		]);
		print(
			table(
				["KEY", "STATE", "USED", "SCOPES", "FROM", "NAME"],
				rows,
				widthOf(out),
				style,
			).trimEnd(),
		);
	},
};

function stateOf(key: Key, now: number, style: Styles): string {
	if (key.revoked_at) return style.dim("revoked");
	if (key.expires_at && Date.parse(key.expires_at) <= now)
		return style.dim("expired");
	if (key.suspended_at) return "suspended";
	return key.current ? style.green("this one") : "live";
}

export const create: Command = {
	name: "keys create",
	usage: [
		"NAME [--scopes jobs:write,jobs:read] [--expires 30d] [--ips 203.0.113.0/24]",
		"NAME --origin https://app.example.com",
	],
	summary: "Creates an API key, and shows it this once.",
	about: [
		"Without --scopes the key may do all that yours may, but not administer keys. The scopes are",
		"jobs:write, jobs:read, uploads:write, billing:read, keys:admin and webhooks:admin.",
		"A key with --origin is for web pages. It works on pages of that origin only, and has access",
		"only to the jobs and uploads that it created. Everybody can read it in the page, so keep no",
		"more credit in its account than you can lose.",
	].join(" "),
	options: ["scopes", "expires", "ips", "spend", "origin"],
	async run(
		{ client, json, values, style, now, print, note, printJSON, interrupt },
		args,
	) {
		const [name, ...more] = args;
		if (!name) throw new UsageError("Name the key: minigpt4 keys create NAME");
		if (more.length > 0)
			throw new UsageError(
				`Put a name with spaces into quotes: "${args.join(" ")}".`,
			);
		const key = await client.keys.create(
			{ name, ...limitsOf(values, now()) },
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

export const update: Command = {
	name: "keys update",
	usage: [
		"KEY [--spend day=1] [--scopes jobs:write,jobs:read] [--expires 30d]",
	],
	summary: "Changes what a key may do, by its id.",
	about:
		"What you leave out stays. --spend none lifts its limits; other limits are lifted by the SDK " +
		"or the API.",
	options: ["spend", "scopes", "expires", "ips", "origin"],
	async run({ client, json, values, now, print, printJSON, interrupt }, args) {
		const id = keyId(args, "Change");
		const change = limitsOf(values, now());
		if (Object.keys(change).length === 0)
			throw new UsageError(
				"Change what? For example: minigpt4 keys update KEY --spend day=1",
			);
		const key = await client.keys.update(id, change, { signal: interrupt });
		if (json) printJSON(key);
		else print(`Changed ${key.id} (${sanitize(key.name)}).`);
	},
};

/** What the command line says that a key may do. */
function limitsOf(
	{ scopes, expires, ips, spend, origin }: ParsedArgs["values"],
	now: number,
): KeyChange {
	return {
		...(scopes !== undefined && {
			scopes: parseList(scopes) as Key["scopes"],
		}),
		...(expires !== undefined && {
			expires_at: parseTime("expires", expires, now).toISOString(),
		}),
		...(ips !== undefined && { ip_ranges: parseList(ips) }),
		...(spend !== undefined && { spend_limits: parseSpend(spend) }),
		...(origin && { origins: origin }),
	};
}

export const rotate: Command = {
	name: "keys rotate",
	usage: ["KEY [--grace 1h]"],
	summary: "Gives a key a new secret, by its id, and shows it this once.",
	about: [
		"The old secret works until the grace ends: put the new one in place meanwhile. `keys list`",
		"tells when a key was last used, and with --json when each of its secrets was. --grace 0 ends",
		"the old secrets at once.",
	].join(" "),
	options: ["grace"],
	async run(
		{ client, json, values, style, print, note, printJSON, interrupt },
		args,
	) {
		const id = keyId(args, "Rotate");
		const { grace } = values;
		const rotated = await client.keys.rotate(id, {
			signal: interrupt,
			...(grace !== undefined && { grace: parseDuration("grace", grace) }),
		});
		if (json) return printJSON(rotated);
		print(rotated.key ?? "");
		const [, old] = rotated.secrets;
		note(
			style.dim(
				`${id}: the API shows this secret once. ${
					old
						? `The old one works until ${old.expires_at}.`
						: "The old one works no more."
				}`,
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
		const id = keyId(args, "Revoke");
		const key = await client.keys.revoke(id, { signal: interrupt });
		if (json) printJSON(key);
		else print(`Revoked ${key.id} (${sanitize(key.name)}).`);
	},
};

/** The one key that the command line names. @param act what to do with it */
function keyId([id, ...more]: string[], act: string): string {
	if (!id)
		throw new UsageError("Which key? `minigpt4 keys list` shows their ids.");
	if (more.length > 0) throw new UsageError(`${act} one key at a time.`);
	if (id.startsWith("mg_"))
		throw new UsageError(
			[
				"This is the key itself, which is now in your shell's history.",
				"Pass its id (key_…) instead: `minigpt4 keys list` shows it.",
			].join(" "),
		);
	return id;
}
