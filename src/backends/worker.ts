/** Our GPU worker's protocol (docs/worker-protocol.md), from the edge's side. */

import { z } from "zod";
import type { WorkerAddress } from "../models.ts";
import {
	type Backend,
	BackendError,
	type BackendEvent,
	type Generation,
} from "./backend.ts";
import { type ServerSentEvent, SseParser } from "./sse-parser.ts";

/** The worker pings every 5 s; a stream silent for longer than this is dead. */
const SILENCE_MS = 30_000;
/** A worker whose engine hangs may go on pinging. */
const STALL_MS = 120_000;
const PROBE_MS = 2_000;

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
/** What a worker says of itself; `away` where no worker answers. */
export type Probed = z.infer<typeof Readiness> | { status: "away" };

/** Asks a worker whether it can take requests. Never throws. */
export async function probe(address: WorkerAddress): Promise<Probed> {
	const late = new AbortController();
	const timer = setTimeout(() => late.abort(), PROBE_MS);
	try {
		const response = await fetch(new URL("/readyz", address.url), {
			headers: headers(address),
			redirect: "manual",
			signal: late.signal,
		});
		const known = Readiness.safeParse(await response.json());
		if (!known.success) return { status: "away" };
		// What says that it is ready, but not with 200, is something in between.
		const { status } = known.data;
		return response.ok === (status === "ready")
			? known.data
			: { status: "away" };
	} catch {
		return { status: "away" };
	} finally {
		clearTimeout(timer); // a pending timer would keep the pool in memory
	}
}

export class GpuWorker implements Backend {
	readonly continues = true;
	readonly #address: WorkerAddress;
	readonly #silenceMs: number;
	readonly #stallMs: number;

	/**
	 * @param silenceMs for which nothing may come
	 * @param stallMs for which nothing but pings may come
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
		const alive = () => {
			clearTimeout(timer);
			timer = setTimeout(() => silence.abort(), this.#silenceMs);
		};
		alive();
		let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
		try {
			reader = await this.#open(generation, either);
			const parser = new SseParser();
			const place = { committed: committedOf(generation), tokens: 0 };
			let heardAt = Date.now();
			for (;;) {
				const { done, value } = await reader.read();
				if (done) break;
				alive();
				if (Date.now() - heardAt > this.#stallMs)
					throw new BackendError(
						"silent",
						`nothing but pings from the worker for ${this.#stallMs} ms`,
					);
				for (const event of parser.push(value)) {
					const known = read(event, place);
					if (!known) continue;
					heardAt = Date.now();
					if (known.type === "token") place.tokens += known.tokens;
					yield known;
					if (known.type === "done") return;
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
			// Hanging up is what ends the generation on the worker.
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
			body: JSON.stringify(bodyOf(generation)),
			redirect: "manual",
			signal,
		});
		if (response.status !== 200) throw failure(await response.text());
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

/** What the worker protocol's `generate` takes. Stop strings are the Job's to enforce. */
export function bodyOf(generation: Generation) {
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

/** A body of anything else in between means that the worker is away. */
const failure = (text: string): BackendError =>
	failureOf(text) ??
	new BackendError("unreachable", "no answer of the worker protocol");

/** The failure that an error object of the worker protocol names; null for what is none. */
export function failureOf(text: string): BackendError | null {
	const known = Failure.safeParse(json(text));
	if (!known.success) return null;
	const { code, message, field, prompt_tokens, context_length } = known.data;
	const tokens =
		prompt_tokens !== undefined && context_length !== undefined
			? { prompt: prompt_tokens, context: context_length }
			: undefined;
	return new BackendError(code, message, { field, tokens });
}

/** The output tokens that the request sent along. */
const committedOf = ({ prompt }: Generation): number =>
	"committedIds" in prompt ? prompt.committedIds.length : 0;

/**
 * @param place of the next token: those that were committed, and those that this stream brought
 * @throws BackendError on `error` events, on a gap or a repeat, and on data that is not of the
 * protocol
 */
function read(
	{ event, data }: ServerSentEvent,
	{ committed, tokens }: { committed: number; tokens: number },
): BackendEvent | null {
	const value = json(data);
	switch (event) {
		case "prompt": {
			const { prompt_token_ids, prompt_tokens } = checked(PromptEvent, value);
			return { type: "prompt", ids: prompt_token_ids, tokens: prompt_tokens };
		}
		case "token": {
			const { index, token_ids, text } = checked(TokenEvent, value);
			if (index !== committed + tokens)
				throw new BackendError(
					"broken_stream",
					`token ${index} came where token ${committed + tokens} was due`,
				);
			return { type: "token", ids: token_ids, tokens: token_ids.length, text };
		}
		case "done": {
			const { finish_reason, output_tokens } = checked(DoneEvent, value);
			// Something was lost or repeated, and some of it was shown: no other attempt can mend that.
			if (output_tokens !== tokens)
				throw new BackendError(
					"backend_failed",
					`${tokens} tokens came, the worker counts ${output_tokens}`,
				);
			return { type: "done", reason: finish_reason };
		}
		case "error":
			throw failure(data);
		default:
			return null;
	}
}

function checked<T>(schema: z.ZodType<T>, value: unknown): T {
	const known = schema.safeParse(value);
	if (!known.success)
		throw new BackendError(
			"broken_stream",
			"an event is not of the worker protocol",
		);
	return known.data;
}

function json(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}
