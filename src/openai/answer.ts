/** A job's events as a chat completion: whole, or in chunks. */

import { type Failure, type FailureCode, wire } from "../errors.ts";
import { FAILURES, type Status } from "../failures.ts";
import type { ChatCompletion, ChatCompletionChunk } from "../schema/chat.ts";
import type { OpenAIError } from "../schema/problem.ts";
import { Presence } from "../stream/presence.ts";
import { SseParser } from "../stream/sse-parser.ts";
import { PING } from "../stream/sse-writer.ts";
import { errorOf } from "./error.ts";

/** What all of an answer's objects say. */
export interface Head {
	id: string;
	/** Seconds since 1970. */
	created: number;
	model: string;
}

/** Why a job has no whole answer. */
export interface Failed {
	code: FailureCode;
	status: Status;
	error: OpenAIError["error"];
}

export type Heard =
	| { type: "text"; text: string }
	/** Nothing new: the job waits, or thinks. */
	| { type: "ping" }
	| { type: "whole"; finishReason: "stop" | "length"; usage: Usage }
	| { type: "failed"; failed: Failed };

type Usage = NonNullable<ChatCompletion["usage"]>;

/** @param fields of the request, for each image of the job */
export class Listener {
	readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
	readonly #fields: readonly string[];
	readonly #parser = new SseParser();
	#ready: Heard[] = [];
	#usage: Usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
	#reading: Promise<void> | null = null;

	/** @param events the job's, from the first on, as server-sent events */
	constructor(events: ReadableStream<Uint8Array>, fields: readonly string[]) {
		this.#reader = events.getReader();
		this.#fields = fields;
	}

	/** What comes next; after `whole` or `failed` nothing does. */
	async next(): Promise<Heard> {
		for (;;) {
			const heard = this.#ready.shift();
			if (heard) return heard;
			await this.#read();
		}
	}

	/** What has come by then, and comes from `next` again; null where nothing did. */
	async peek(until: Promise<unknown>): Promise<Heard | null> {
		let late = false;
		const over = until.then(() => {
			late = true;
		});
		while (!late) {
			this.#ready = this.#ready.filter(({ type }) => type !== "ping");
			if (this.#ready[0]) return this.#ready[0];
			await Promise.race([this.#read(), over]);
		}
		return null;
	}

	/** Hangs up: a job that nobody else reads is canceled. */
	async leave(): Promise<void> {
		await this.#reader.cancel().catch(() => {});
	}

	/** One read at a time, also where somebody stopped waiting for it. */
	#read(): Promise<void> {
		this.#reading ??= this.#hear().finally(() => {
			this.#reading = null;
		});
		return this.#reading;
	}

	async #hear(): Promise<void> {
		const { done, value } = await this.#reader.read();
		if (done) {
			// It was erased while it was read, or nobody took what it said.
			this.#ready.push(failure("job_gone"));
			return;
		}
		const events = this.#parser.push(value);
		for (const { event, data } of events) {
			const heard = this.#understand(event, JSON.parse(data));
			if (heard) this.#ready.push(heard);
		}
		if (events.length === 0) this.#ready.push({ type: "ping" });
	}

	// biome-ignore lint/suspicious/noExplicitAny: our own events, see schema/event.ts
	#understand(event: string, data: any): Heard | null {
		switch (event) {
			case "token":
				return { type: "text", text: data.text };
			case "usage": {
				const read = data.prompt_tokens ?? 0;
				this.#usage = {
					prompt_tokens: read,
					completion_tokens: data.output_tokens,
					total_tokens: read + data.output_tokens,
				};
				return null;
			}
			case "job.succeeded": {
				const { finish_reason } = data;
				const usage = this.#usage;
				return { type: "whole", finishReason: finish_reason, usage };
			}
			case "job.failed": {
				const { code, message, field } = data.error;
				return failure(code, message, this.#fieldOf(field));
			}
			case "job.canceled":
				return failure("job_canceled");
			case "job.expired":
				return failure("job_expired");
			default:
				return null;
		}
	}

	/** A worker names an image by its place among the job's. */
	#fieldOf(field: string | undefined): string | undefined {
		const place = /^images\[(\d+)\]/.exec(field ?? "")?.[1];
		return place === undefined ? field : (this.#fields[Number(place)] ?? field);
	}
}

function failure(
	code: FailureCode,
	message = wire({ code } as Failure).detail,
	field?: string,
): Heard {
	const error = errorOf({ code, message, field });
	const { status } = FAILURES[code];
	return { type: "failed", failed: { code, status, error } };
}

export const completion = (
	head: Head,
	content: string,
	{ finishReason, usage }: Extract<Heard, { type: "whole" }>,
): ChatCompletion => ({
	id: head.id,
	object: "chat.completion",
	created: head.created,
	model: head.model,
	choices: [
		{
			index: 0,
			message: { role: "assistant", content, refusal: null },
			logprobs: null,
			finish_reason: finishReason,
		},
	],
	usage,
});

const utf8 = new TextEncoder();

/**
 * The answer as JSON after spaces, which JSON allows there: they keep a connection that waits from being taken for a dead
 * one. Where the job fails after all, it is the error object.
 * @param content that came by now
 */
export const lateCompletion = (
	head: Head,
	listener: Listener,
	content: string,
	presence = new Presence(),
): ReadableStream<Uint8Array> =>
	streamed(listener, presence, " ", (heard) => {
		switch (heard.type) {
			case "ping":
				return { text: " " };
			case "text":
				content += heard.text;
				return { text: "" };
			case "whole":
				return {
					text: JSON.stringify(completion(head, content, heard)),
					last: true,
				};
			case "failed":
				return {
					text: JSON.stringify({ error: heard.failed.error }),
					last: true,
				};
		}
	});

/** The answer as server-sent events. */
export function chunks(
	head: Head,
	listener: Listener,
	includeUsage: boolean,
	presence = new Presence(),
): ReadableStream<Uint8Array> {
	let quiet = false;
	const chunk = (
		choices: ChatCompletionChunk["choices"],
		usage: Usage | null = null,
	): string =>
		frame({
			id: head.id,
			object: "chat.completion.chunk",
			created: head.created,
			model: head.model,
			choices,
			...(includeUsage && { usage }),
		} satisfies ChatCompletionChunk);
	const choice = (
		delta: ChatCompletionChunk["choices"][number]["delta"],
		finish_reason: "stop" | "length" | null = null,
	): string => chunk([{ index: 0, delta, logprobs: null, finish_reason }]);
	const opening = choice({ role: "assistant", content: "", refusal: null });
	return streamed(listener, presence, opening, (heard) => {
		switch (heard.type) {
			case "ping":
				// What says something shows by itself whether the client is there.
				if (quiet) return { text: PING };
				quiet = true;
				return { text: "" };
			case "text":
				quiet = quiet && !heard.text;
				return { text: heard.text ? choice({ content: heard.text }) : "" };
			case "whole":
				return {
					text:
						choice({}, heard.finishReason) +
						(includeUsage ? chunk([], heard.usage) : "") +
						"data: [DONE]\n\n",
					last: true,
				};
			case "failed":
				return { text: frame({ error: heard.failed.error }), last: true };
		}
	});
}

const frame = (data: object): string => `data: ${JSON.stringify(data)}\n\n`;

/** Pulls no faster than the client reads; leaves the job when the client does. */
function streamed(
	listener: Listener,
	presence: Presence,
	opening: string,
	write: (heard: Heard) => { text: string; last?: boolean },
): ReadableStream<Uint8Array> {
	const send = (
		controller: ReadableStreamDefaultController<Uint8Array>,
		text: string,
	) => {
		controller.enqueue(utf8.encode(text));
		presence.wrote();
	};
	return new ReadableStream<Uint8Array>({
		start: (controller) => send(controller, opening),
		async pull(controller) {
			for (;;) {
				const { text, last } = write(await listener.next());
				if (text) send(controller, text);
				if (last) controller.close();
				if (text || last) return;
			}
		},
		cancel: () => listener.leave(),
	});
}
