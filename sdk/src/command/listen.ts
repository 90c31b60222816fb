/** `webhooks listen`: forwards the account's events to this machine, signed like webhooks. */
import { createHmac, randomBytes } from "node:crypto";
import { type Event, GoneError, NotFoundError } from "../index.ts";
import type { Command, Context } from "./command.ts";
import { parseEventTypes, TERMINAL_TYPES } from "./event-types.ts";
import { Interrupted, UsageError } from "./exit.ts";
import { duration } from "./format.ts";
import { parseNumber } from "./options.ts";
import { truncate, widthOf } from "./terminal.ts";

/** The command survives a restart of the API and a broken network for this long. */
const OUTAGE_MS = 600_000;
/** A receiver must answer within this time, as for the API's own deliveries. */
const ANSWER_TIMEOUT_MS = 15_000;

export const listen: Command = {
	name: "webhooks listen",
	usage: [
		"--forward http://localhost:3000/hook [--events TYPES] [--after SEQ]",
	],
	summary: "Forwards the account's events to an address on this machine.",
	about: [
		"Forwards new events, or those after the event that --after names. Each one is a POST, signed",
		"after Standard Webhooks with the secret that the command prints first;",
		"MINIGPT4_WEBHOOK_SECRET sets it (whsec_…). The command sends one event at a time, and does",
		"not retry. With --json, it prints one line for each answer.",
	].join(" "),
	options: ["forward", "events", "after"],
	async run(context, args) {
		const { client, values, env, json, out, print, note, style, interrupt } =
			context;
		if (args.length > 0)
			throw new UsageError(
				`This command takes no argument such as "${args[0]}". Put the address after --forward.`,
			);
		const url = forwardURL(values.forward);
		const secret = secretOf(env.MINIGPT4_WEBHOOK_SECRET);
		const types =
			values.events === undefined
				? TERMINAL_TYPES
				: parseEventTypes(values.events);
		const given = parseNumber("after", values.after);
		let after =
			given ??
			(await client.events.list({ limit: 1, signal: interrupt }).page())
				.last_seq;
		if (json)
			out.write(
				`${JSON.stringify({ object: "listening", forward: url, secret, after, types })}\n`,
			);
		else {
			print(`${style.bold("secret")}   ${secret}`);
			print(`${style.bold("to")}       ${url}`);
			print(`${style.bold("events")}   ${types.join(" ")}, after ${after}`);
			note(style.dim("Waiting for events. Ctrl-C stops."));
		}
		try {
			// Reads events of every type and filters here, so that the stream notices a gap and `after`
			// is the last event of any type.
			for await (const event of client.events.stream({
				after,
				signal: interrupt,
				retryFor: OUTAGE_MS,
			})) {
				after = event.seq;
				if (types.includes(event.type))
					await forward(context, event, url, secret);
			}
		} catch (error) {
			if (error instanceof GoneError) throw error;
			if (!interrupt.aborted) {
				note(
					`Stopped after event ${after}. To continue there: --after ${after}`,
				);
				throw error;
			}
		}
		note(`Stopped. To continue here: --after ${after}`);
		throw new Interrupted();
	},
};

function forwardURL(given: string | undefined): string {
	if (!given)
		throw new UsageError(
			"Name the address: --forward http://localhost:3000/hook",
		);
	const text = /^\w+:\/\//.test(given) ? given : `http://${given}`;
	const url = URL.canParse(text) ? new URL(text) : null;
	if (!url || !/^https?:$/.test(url.protocol))
		throw new UsageError(
			`--forward needs an http: or https: address, not "${given}".`,
		);
	return url.href;
}

function secretOf(given: string | undefined): string {
	if (!given) return `whsec_${randomBytes(24).toString("base64")}`;
	if (!/^whsec_[A-Za-z0-9+/]{16,}={0,2}$/.test(given))
		throw new UsageError(
			"MINIGPT4_WEBHOOK_SECRET must begin with whsec_, followed by base64.",
		);
	return given;
}

/** Posts one event as a webhook, and shows the receiver's answer. */
async function forward(
	context: Context,
	event: Event,
	url: string,
	secret: string,
): Promise<void> {
	const { json, out, print, style, interrupt } = context;
	const data = await webhookData(context, event);
	const body = JSON.stringify({
		type: event.type,
		timestamp: event.created_at,
		data,
	});
	const started = Date.now();
	let status: number | null = null;
	let error: string | null = null;
	try {
		const answer = await fetch(url, {
			method: "POST",
			redirect: "manual",
			headers: {
				"Content-Type": "application/json",
				...signatureHeaders(event.id, body, secret, started),
			},
			body,
			signal: AbortSignal.any([
				interrupt,
				AbortSignal.timeout(ANSWER_TIMEOUT_MS),
			]),
		});
		status = answer.status;
		await answer.body?.cancel();
	} catch (cause) {
		interrupt.throwIfAborted();
		error = reasonOf(cause as Error);
	}
	const ms = Date.now() - started;
	const accepted = status !== null && status >= 200 && status < 300;
	if (json) {
		const line = {
			id: event.id,
			seq: event.seq,
			type: event.type,
			http_status: status,
			error,
			duration_ms: ms,
		};
		out.write(`${JSON.stringify(line)}\n`);
		return;
	}
	const answer = accepted
		? style.green(String(status))
		: style.red(status === null ? (error ?? "") : String(status));
	const about = "id" in event.data ? String(event.data.id) : "";
	const room =
		widthOf(out) -
		event.type.length -
		String(status ?? error).length -
		duration(ms).length -
		String(event.seq).length -
		12;
	const parts = [
		style.dim(`#${event.seq}`),
		event.type,
		...(room >= 8 ? [style.dim(truncate(about, room))] : []),
		`→ ${answer}`,
		style.dim(`in ${duration(ms)}`),
	];
	print(parts.join(" "));
}

/** Returns a webhook's data: the whole job that ended, or the event's summary if it is deleted. */
async function webhookData(
	{ client, interrupt }: Context,
	{ type, data }: Event,
): Promise<unknown> {
	if (!TERMINAL_TYPES.includes(type) || !("id" in data)) return data;
	try {
		return await client.jobs.get(String(data.id), { signal: interrupt });
	} catch (error) {
		if (error instanceof GoneError || error instanceof NotFoundError)
			return data;
		throw error;
	}
}

/** Makes the three headers of Standard Webhooks. */
export function signatureHeaders(
	id: string,
	body: string,
	secret: string,
	now: number,
): Record<string, string> {
	const timestamp = String(Math.floor(now / 1000));
	const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
	const mac = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`);
	return {
		"webhook-id": id,
		"webhook-timestamp": timestamp,
		"webhook-signature": `v1,${mac.digest("base64")}`,
	};
}

/** Says in a few words why the receiver did not answer. */
function reasonOf(error: Error): string {
	if (error.name === "TimeoutError")
		return `no answer in ${duration(ANSWER_TIMEOUT_MS)}`;
	const { code } = (error.cause ?? error) as { code?: string };
	if (code === "ECONNREFUSED") return "connection refused";
	return code ?? error.message;
}
