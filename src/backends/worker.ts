/** The backend for our GPU worker: the client side of docs/worker-protocol.md. */

import { z } from "zod";
import type { Message } from "../contract/job.ts";
import type { WorkerAddress } from "../models.ts";
import {
	type Backend,
	BackendError,
	type BackendEvent,
	type Generation,
} from "./backend.ts";
import { type ServerSentEvent, SseParser } from "./sse-parser.ts";

/** The worker pings every 5 s; a connection without a byte for this long is dead. */
const SILENCE_MS = 30_000;
/**
 * A worker whose engine hangs may still ping; a stream without an event for this long has failed.
 */
const STALL_MS = 120_000;
const PROBE_TIMEOUT_MS = 2_000;
/** A caller waits for the count. */
const COUNT_TIMEOUT_MS = 1_000;

const ids = z.array(z.int().nonnegative());
const PromptEvent = z.object({ prompt_token_ids: ids, prompt_tokens: z.int() });
const TokenEvent = z.object({
	index: z.int().nonnegative(),
	token_ids: ids,
	text: z.string(),
});
const DoneEvent = z.object({
	finish_reason: z.enum(["stop", "length"]),
	output_tokens: z.int(),
});
const Count = z.object({ prompt_tokens: z.int().nonnegative() });
const Failure = z.object({
	code: z.string(),
	message: z.string(),
	field: z.string().optional(),
	prompt_tokens: z.int().optional(),
	context_length: z.int().optional(),
});
const Readiness = z.discriminatedUnion("status", [
	z.object({
		status: z.literal("ready"),
		model: z.string().min(1).max(64),
		digest: z.string().min(1),
		slots: z.int().positive(),
	}),
	z.object({ status: z.enum(["starting", "draining"]) }),
]);
/** What a worker reports about itself; `away` if no worker answers. */
export type ProbeResult = z.infer<typeof Readiness> | { status: "away" };

/** Asks a worker whether it accepts requests. Never throws. */
export async function probe(address: WorkerAddress): Promise<ProbeResult> {
	const timeout = new AbortController();
	const timer = setTimeout(() => timeout.abort(), PROBE_TIMEOUT_MS);
	try {
		const response = await fetch(new URL("/readyz", address.url), {
			headers: headers(address),
			redirect: "manual",
			signal: timeout.signal,
		});
		const { data } = Readiness.safeParse(await response.json());
		// A worker answers `ready` with 200 and the others with 503. Anything else comes from a proxy
		// in between.
		const isWorker = data && response.ok === (data.status === "ready");
		return isWorker ? data : { status: "away" };
	} catch {
		return { status: "away" };
	} finally {
		clearTimeout(timer); // a pending timer keeps the Pool in memory
	}
}

/**
 * The tokens of a conversation by the worker's tokenizer; null where the worker does not answer in
 * time, or finds the conversation too long to count. Never throws.
 */
export async function countTokens(
	address: WorkerAddress,
	model: string,
	messages: readonly Message[],
): Promise<number | null> {
	try {
		const response = await fetch(new URL("/v1/count", address.url), {
			method: "POST",
			headers: { ...headers(address), "Content-Type": "application/json" },
			body: JSON.stringify({ model, messages }),
			redirect: "manual",
			signal: AbortSignal.timeout(COUNT_TIMEOUT_MS),
		});
		const { data } = Count.safeParse(await response.json());
		return response.ok && data ? data.prompt_tokens : null;
	} catch {
		return null;
	}
}

export class GpuWorker implements Backend {
	readonly continues = true;
	readonly #address: WorkerAddress;
	readonly #silenceMs: number;
	readonly #stallMs: number;

	/**
	 * @param silenceMs how long the stream may deliver no byte
	 * @param stallMs how long it may deliver nothing but pings
	 */
	constructor(
		address: WorkerAddress,
		silenceMs: number = SILENCE_MS,
		stallMs: number = STALL_MS,
	) {
		this.#address = address;
		this.#silenceMs = silenceMs;
		this.#stallMs = stallMs;
	}

	async *generate(
		generation: Generation,
		signal: AbortSignal,
	): AsyncIterable<BackendEvent> {
		const silence = new AbortController();
		const either = AbortSignal.any([signal, silence.signal]);
		let timer: ReturnType<typeof setTimeout> | undefined;
		const restartSilenceTimer = () => {
			clearTimeout(timer);
			timer = setTimeout(() => silence.abort(), this.#silenceMs);
		};
		restartSilenceTimer();
		let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
		try {
			reader = await this.#open(generation, either);
			const parser = new SseParser();
			const position = { committed: committedOf(generation), tokens: 0 };
			let lastEventAt = Date.now();
			for (;;) {
				const { done, value } = await reader.read();
				if (done) break;
				restartSilenceTimer();
				if (Date.now() - lastEventAt > this.#stallMs)
					throw new BackendError(
						"silent",
						`nothing but pings from the worker for ${this.#stallMs} ms`,
					);
				for (const message of parser.push(value)) {
					const event = parseEvent(message, position);
					if (!event) continue;
					lastEventAt = Date.now();
					if (event.type === "token") position.tokens += event.tokens;
					yield event;
					if (event.type === "done") return;
				}
			}
		} catch (error) {
			if (error instanceof BackendError) throw error;
			if (silence.signal.aborted)
				throw new BackendError(
					"silent",
					`no byte from the worker for ${this.#silenceMs} ms`,
				);
			throw new BackendError(
				reader ? "broken_stream" : "unreachable",
				String(error),
			);
		} finally {
			clearTimeout(timer);
			// Closing the connection ends the generation on the worker.
			await reader?.cancel().catch(() => {});
		}
		throw new BackendError("broken_stream", "the stream ended without `done`");
	}

	async #open(
		generation: Generation,
		signal: AbortSignal,
	): Promise<ReadableStreamDefaultReader<Uint8Array>> {
		const response = await fetch(new URL("/v1/generate", this.#address.url), {
			method: "POST",
			headers: {
				...headers(this.#address),
				"Content-Type": "application/json",
				Accept: "text/event-stream",
				...(generation.trace && { traceparent: generation.trace }),
			},
			body: JSON.stringify(requestBody(generation)),
			redirect: "manual",
			signal,
		});
		if (response.status !== 200) throw failureIn(await response.text());
		if (!response.body)
			throw new BackendError("broken_stream", "200 without a body");
		return response.body.getReader();
	}
}

function headers({ key, access }: WorkerAddress): Record<string, string> {
	return {
		Authorization: `Bearer ${key}`,
		...(access && {
			"CF-Access-Client-Id": access.id,
			"CF-Access-Client-Secret": access.secret,
		}),
	};
}

/** The body of `POST /v1/generate`. It has no stop strings, because the Job enforces them. */
export function requestBody(generation: Generation) {
	const { requestId, model, cacheSalt, prompt, images } = generation;
	const { stop: _, ...sampling } = generation.sampling;
	return {
		request_id: requestId,
		model,
		cache_salt: cacheSalt,
		...("messages" in prompt
			? { messages: prompt.messages }
			: {
					prompt_token_ids: prompt.promptIds,
					committed_token_ids: prompt.committedIds,
				}),
		images,
		...sampling,
	};
}

/**
 * Text that is not an error object of the protocol comes from a proxy: the worker behind it is
 * unreachable.
 */
const failureIn = (text: string): BackendError =>
	parseFailure(text) ??
	new BackendError("unreachable", "no answer of the worker protocol");

/** Parses an error object of the worker protocol; null if the text is not one. */
export function parseFailure(text: string): BackendError | null {
	const { data } = Failure.safeParse(parseJson(text));
	if (!data) return null;
	const { code, message, field, prompt_tokens, context_length } = data;
	const tokens =
		prompt_tokens !== undefined && context_length !== undefined
			? { prompt: prompt_tokens, context: context_length }
			: undefined;
	return new BackendError(code, message, { field, tokens });
}

/** The number of output tokens that the request commits. */
const committedOf = ({ prompt }: Generation): number =>
	"committedIds" in prompt ? prompt.committedIds.length : 0;

/**
 * @param position of the next token: the tokens that the request committed, and those that this
 * stream has delivered
 * @returns null for an event of an unknown type
 * @throws BackendError on an `error` event, on a gap or a repeat, and on data that violates the
 * protocol
 */
function parseEvent(
	{ event, data }: ServerSentEvent,
	{ committed, tokens }: { committed: number; tokens: number },
): BackendEvent | null {
	const value = parseJson(data);
	switch (event) {
		case "prompt": {
			const { prompt_token_ids, prompt_tokens } = parse(PromptEvent, value);
			return { type: "prompt", ids: prompt_token_ids, tokens: prompt_tokens };
		}
		case "token": {
			const { index, token_ids, text } = parse(TokenEvent, value);
			if (index !== committed + tokens)
				throw new BackendError(
					"broken_stream",
					`token ${index} came where token ${committed + tokens} was due`,
				);
			return { type: "token", ids: token_ids, tokens: token_ids.length, text };
		}
		case "done": {
			const { finish_reason, output_tokens } = parse(DoneEvent, value);
			// The stream lost or repeated tokens that readers have seen, so another attempt cannot repair
			// the answer.
			if (output_tokens !== tokens)
				throw new BackendError(
					"backend_failed",
					`${tokens} tokens came, the worker counts ${output_tokens}`,
				);
			return { type: "done", reason: finish_reason };
		}
		case "error":
			throw failureIn(data);
		default:
			return null;
	}
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
	const result = schema.safeParse(value);
	if (!result.success)
		throw new BackendError(
			"broken_stream",
			"an event is not of the worker protocol",
		);
	return result.data;
}

function parseJson(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}
