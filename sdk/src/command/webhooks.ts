/** `webhooks`: the addresses that the account's events are delivered to. */
import type { Command } from "./command.ts";
import { eventTypes } from "./event-types.ts";
import { UsageError } from "./exit.ts";
import { number } from "./options.ts";
import { harmless, table, widthOf } from "./terminal.ts";
import { ago, duration } from "./words.ts";

const one = (words: string[], what: string): string => {
	const [id, ...more] = words;
	if (!id) throw new UsageError(`${what}? \`minigpt4 webhooks\` lists them.`);
	if (more.length > 0) throw new UsageError("One at a time.");
	return id;
};

export const list: Command = {
	name: "webhooks list",
	usage: [""],
	summary: "Lists the account's webhooks.",
	options: [],
	async run(
		{ client, json, out, style, now, print, note, document, interrupt },
		words,
	) {
		if (words.length > 0)
			throw new UsageError(`There is no \`webhooks ${words[0]}\`.`);
		const webhooks = [];
		for await (const webhook of client.webhooks.list({ signal: interrupt }))
			webhooks.push(webhook);
		if (json) return document(webhooks);
		if (webhooks.length === 0)
			return note(
				"No webhooks yet. To make one: minigpt4 webhooks create URL. To try them here: minigpt4 webhooks listen",
			);
		const rows = webhooks.map((webhook) => [
			webhook.id,
			webhook.status === "enabled"
				? style.green("enabled")
				: style.red(`disabled: ${webhook.disabled_reason ?? "by hand"}`),
			webhook.last_success_at ? ago(webhook.last_success_at, now()) : "never",
			harmless(webhook.url),
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
	summary: "Has events delivered to an address. Its secret is shown this once.",
	options: ["events", "description"],
	async run(
		{ client, json, values, style, print, note, document, interrupt },
		words,
	) {
		const [url, ...more] = words;
		if (!url || more.length > 0)
			throw new UsageError("Where to? minigpt4 webhooks create https://…");
		const webhook = await client.webhooks.create(
			{
				url,
				...(values.events && {
					// What is no event type the API refuses by name.
					events: eventTypes(values.events),
				}),
				...(values.description && { description: values.description }),
			},
			{ signal: interrupt },
		);
		if (json) return document(webhook);
		print(webhook.secret);
		note(
			style.dim(
				`${webhook.id}: its secret, shown this once. To try it: minigpt4 webhooks test ${webhook.id}`,
			),
		);
	},
};

export const test: Command = {
	name: "webhooks test",
	usage: ["WEBHOOK"],
	summary: "Delivers a test event now, and shows the answer.",
	options: [],
	async run({ client, json, style, print, document, interrupt }, words) {
		const id = one(words, "Which webhook");
		const delivery = await client.webhooks.test(id, { signal: interrupt });
		if (json) return document(delivery);
		const good = delivery.status === "delivered";
		const answer = delivery.http_status ?? delivery.error ?? delivery.status;
		print(
			`webhook.test → ${(good ? style.green : style.red)(harmless(String(answer)))}${delivery.duration_ms === null ? "" : style.dim(` in ${duration(delivery.duration_ms)}`)}`,
		);
	},
};

export const redeliver: Command = {
	name: "webhooks redeliver",
	usage: ["WEBHOOK EVENT", "WEBHOOK --after SEQ"],
	summary: "Delivers one event again, or all of them after a number.",
	options: ["after"],
	async run({ client, json, values, print, document, interrupt }, words) {
		const [id, event, ...more] = words;
		const after = number("after", values.after);
		if (
			!id ||
			more.length > 0 ||
			(event === undefined) === (after === undefined)
		)
			throw new UsageError(
				"Which webhook, and what: an event's id (evt_…) or --after SEQ?",
			);
		const answer = await client.webhooks.redeliver(
			id,
			event === undefined ? { after: after as number } : { event },
			{ signal: interrupt },
		);
		if (json) document(answer ?? null);
		else
			print(
				event === undefined
					? `Everything after event ${after} goes out again.`
					: `${event} goes out again.`,
			);
	},
};
