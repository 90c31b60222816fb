/** `webhooks`: the addresses that the API delivers the account's events to. */
import type { Command } from "./command.ts";
import { parseEventTypes } from "./event-types.ts";
import { UsageError } from "./exit.ts";
import { ago, duration } from "./format.ts";
import { parseNumber } from "./options.ts";
import { sanitize, table, widthOf } from "./terminal.ts";

const idOf = (args: string[]): string => {
	const [id, ...more] = args;
	if (!id)
		throw new UsageError("Which webhook? `minigpt4 webhooks` lists them.");
	if (more.length > 0) throw new UsageError("Test one webhook at a time.");
	return id;
};

export const list: Command = {
	name: "webhooks list",
	usage: [""],
	summary: "Lists the account's webhooks.",
	options: [],
	async run(
		{ client, json, out, style, now, print, note, printJSON, interrupt },
		args,
	) {
		if (args.length > 0)
			throw new UsageError(`There is no \`webhooks ${args[0]}\`.`);
		const webhooks = [];
		for await (const webhook of client.webhooks.list({ signal: interrupt }))
			webhooks.push(webhook);
		if (json) return printJSON(webhooks);
		if (webhooks.length === 0)
			return note(
				[
					"No webhooks yet. To create one: minigpt4 webhooks create URL.",
					"To receive events on this machine: minigpt4 webhooks listen",
				].join(" "),
			);
		const rows = webhooks.map((webhook) => [
			webhook.id,
			webhook.status === "enabled"
				? style.green("enabled")
				: style.red(`disabled: ${webhook.disabled_reason ?? "by hand"}`),
			webhook.last_success_at ? ago(webhook.last_success_at, now()) : "never",
			sanitize(webhook.url),
		]);
		print(
			table(
				["WEBHOOK", "STATE", "DELIVERED", "URL"],
				rows,
				widthOf(out),
				style,
			).trimEnd(),
		);
	},
};

export const create: Command = {
	name: "webhooks create",
	usage: ["URL [--events TYPES] [--description TEXT]"],
	summary: "Creates a webhook for an address, and shows its secret this once.",
	options: ["events", "description"],
	async run(
		{ client, json, values, style, print, note, printJSON, interrupt },
		args,
	) {
		const [url, ...more] = args;
		if (!url || more.length > 0)
			throw new UsageError(
				"Name the address: minigpt4 webhooks create https://…",
			);
		const webhook = await client.webhooks.create(
			{
				url,
				...(values.events && {
					events: parseEventTypes(values.events),
				}),
				...(values.description && { description: values.description }),
			},
			{ signal: interrupt },
		);
		if (json) return printJSON(webhook);
		print(webhook.secret);
		note(
			style.dim(
				`The API shows this secret once. To try it: minigpt4 webhooks test ${webhook.id}`,
			),
		);
	},
};

export const test: Command = {
	name: "webhooks test",
	usage: ["WEBHOOK"],
	summary: "Delivers a test event now, and shows the receiver's answer.",
	options: [],
	async run({ client, json, style, print, printJSON, interrupt }, args) {
		const id = idOf(args);
		const delivery = await client.webhooks.test(id, { signal: interrupt });
		if (json) return printJSON(delivery);
		const good = delivery.status === "delivered";
		const answer = delivery.http_status ?? delivery.error ?? delivery.status;
		const color = good ? style.green : style.red;
		const took =
			delivery.duration_ms === null
				? ""
				: style.dim(` in ${duration(delivery.duration_ms)}`);
		print(`webhook.test → ${color(sanitize(String(answer)))}${took}`);
	},
};

export const redeliver: Command = {
	name: "webhooks redeliver",
	usage: ["WEBHOOK EVENT", "WEBHOOK --after SEQ"],
	summary: "Delivers one event again, or every event after a number.",
	options: ["after"],
	async run({ client, json, values, print, printJSON, interrupt }, args) {
		const [id, event, ...more] = args;
		const after = parseNumber("after", values.after);
		if (
			!id ||
			more.length > 0 ||
			(event === undefined) === (after === undefined)
		)
			throw new UsageError(
				"Name the webhook, and either an event's id (evt_…) or --after SEQ.",
			);
		const answer = await client.webhooks.redeliver(
			id,
			event === undefined ? { after: after as number } : { event },
			{ signal: interrupt },
		);
		if (json) printJSON(answer ?? null);
		else
			print(
				event === undefined
					? `Every event after ${after} is delivered again.`
					: `${event} is delivered again.`,
			);
	},
};
