/** `webhooks listen`: the account's feed as webhooks to this machine, signed as the real ones are. */
import { createHmac, randomBytes } from "node:crypto";
import { type Event, GoneError, NotFoundError } from "../index.ts";
import type { Command, Context } from "./command.ts";
import { ENDS, eventTypes } from "./event-types.ts";
import { Interrupted, UsageError } from "./exit.ts";
import { number } from "./options.ts";
import { cut, widthOf } from "./terminal.ts";
import { duration } from "./words.ts";

/** An API that restarts, or a network that is away, ends nothing. */
const OUTAGE_MS = 600_000;
/** A receiver has so long to answer, here and there. */
const ANSWER_WITHIN_MS = 15_000;

export const listen: Command = {
	name: "webhooks listen",
	usage: [
		"--forward http://localhost:3000/hook [--events TYPES] [--after SEQ]",
	],
	summary: "Forwards the account's events to an address of this machine.",
	about:
		"What comes from now on, or after the event --after names. Each is one POST, signed as Standard Webhooks with the secret that is printed first; MINIGPT4_WEBHOOK_SECRET sets one (whsec_…). One is sent after the other, once: what fails is not tried again. With --json, one line for each answer.",
	options: ["forward", "events", "after"],
	async run(context, words) {
		const { client, values, env, json, out, print, note, style, interrupt } =
			context;
		if (words.length > 0)
			throw new UsageError(
				`What is "${words[0]}"? The address goes behind --forward.`,
			);
		const url = target(values.forward);
		const secret = secretOf(env.MINIGPT4_WEBHOOK_SECRET);
		const types =
			values.events === undefined ? ENDS : eventTypes(values.events);
		const given = number("after", values.after);
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
			// All of them, so that a gap would be noticed and the place to go on from is the last one looked at.
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
					`Stopped after event ${after}. To go on from there: --after ${after}`,
				);
				throw error;
			}
		}
		note(`Stopped. To go on from here: --after ${after}`);
		throw new Interrupted();
	},
};

function target(given: string | undefined): string {
	if (!given)
		throw new UsageError("Where to? --forward http://localhost:3000/hook");
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
			"MINIGPT4_WEBHOOK_SECRET is no secret: it begins with whsec_, and base64 follows.",
		);
	return given;
}

/** One event, as a webhook. Shows what the receiver answered. */
async function forward(
	context: Context,
	event: Event,
	url: string,
	secret: string,
): Promise<void> {
	const { json, out, print, style, interrupt } = context;
	const data = await dataOf(context, event);
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
				...signed(event.id, body, secret, started),
			},
			body,
			signal: AbortSignal.any([
				interrupt,
				AbortSignal.timeout(ANSWER_WITHIN_MS),
			]),
		});
		status = answer.status;
		await answer.body?.cancel();
	} catch (cause) {
		interrupt.throwIfAborted();
		error = whyOf(cause as Error);
	}
	const ms = Date.now() - started;
	const good = status !== null && status >= 200 && status < 300;
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
	const answer = good
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
	print(
		`${style.dim(`#${event.seq}`)} ${event.type} ${room >= 8 ? `${style.dim(cut(about, room))} ` : ""}→ ${answer} ${style.dim(`in ${duration(ms)}`)}`,
	);
}

/** What a webhook would carry: the whole job where one ended, the summary if it is gone by now. */
async function dataOf(
	{ client, interrupt }: Context,
	{ type, data }: Event,
): Promise<unknown> {
	if (!ENDS.includes(type) || !("id" in data)) return data;
	try {
		return await client.jobs.get(String(data.id), { signal: interrupt });
	} catch (error) {
		if (error instanceof GoneError || error instanceof NotFoundError)
			return data;
		throw error;
	}
}

/** The three headers of Standard Webhooks. */
export function signed(
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

/** In one or two words. */
function whyOf(error: Error): string {
	if (error.name === "TimeoutError")
		return `no answer in ${duration(ANSWER_WITHIN_MS)}`;
	const { code } = (error.cause ?? error) as { code?: string };
	if (code === "ECONNREFUSED") return "nobody listens there";
	return code ?? error.message;
}
