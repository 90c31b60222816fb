/**
 * The backend for models that Replicate runs (docs/replicate.md).
 *
 * An attempt creates a prediction, reads its stream, and fetches the prediction when the stream
 * ends, because the prediction holds what the stream lost. A prediction runs on without readers: a
 * later attempt resumes it by its id, and an attempt that ends for good cancels it.
 */

import Replicate from "replicate";
import { z } from "zod";
import { logLine } from "../log.ts";
import type { ReplicateAddress } from "../models.ts";
import { nullAfter } from "../time.ts";
import {
	type AbortReason,
	type Backend,
	BackendError,
	type BackendEvent,
	type Generation,
} from "./backend.ts";
import { RETRY_POLICY, type RetryPolicy, withRetries } from "./retry.ts";
import { type ServerSentEvent, SseParser } from "./sse-parser.ts";
import { type ProbeResult, parseFailure, requestBody } from "./worker.ts";

/**
 * Replicate ends a prediction after this time, when the image URLs expire too. Bounds the cost of a
 * lost one.
 */
const CANCEL_AFTER = "15m";
/** For one request to the API. */
const REQUEST_TIMEOUT_MS = 30_000;
const PROBE_TIMEOUT_MS = 5_000;
const CANCEL_TIMEOUT_MS = 2_000;
/**
 * After this long without an event the prediction itself is fetched: the stream may have lost its
 * end.
 */
const SILENCE_MS = 10_000;
/** Between two fetches of a prediction whose stream broke or ended. */
const POLL_MS = 500;

const Prediction = z.object({
	id: z.string().min(1),
	status: z.enum([
		"starting",
		"processing",
		"succeeded",
		"failed",
		"canceled",
		"aborted",
	]),
	/** The text, in pieces or whole. */
	output: z
		.union([z.array(z.string()), z.string().transform((text) => [text])])
		.nullish(),
	error: z.unknown(),
	metrics: z.object({ input_token_count: z.int().optional() }).nullish(),
	urls: z.object({ stream: z.url().optional() }).nullish(),
});
type Prediction = z.infer<typeof Prediction>;

/** A deployment, or a version. */
const DeploymentOrVersion = z.union([
	z.object({ current_release: z.object({ version: z.string().min(1) }) }),
	z.object({ id: z.string().min(1) }),
]);

/**
 * Asks Replicate for the deployment or version. It is ready even without a running instance,
 * because a prediction starts one. Never throws.
 */
export async function probeReplicate({
	url,
	replicate: { model, token, slots },
}: ReplicateAddress): Promise<ProbeResult> {
	try {
		const headers = { Authorization: `Bearer ${token}` };
		const response = await fetchWhole(url, { headers }, PROBE_TIMEOUT_MS);
		const found = DeploymentOrVersion.safeParse(
			response.ok && (await response.json()),
		);
		if (!found.success) return { status: "away" };
		const digest =
			"id" in found.data ? found.data.id : found.data.current_release.version;
		return { status: "ready", model, digest, slots };
	} catch {
		return { status: "away" };
	}
}

export class ReplicateBackend implements Backend {
	readonly continues = false;
	readonly #address: ReplicateAddress["replicate"];
	readonly #retryPolicy: RetryPolicy;
	readonly #silenceMs: number;
	readonly #client: Replicate;

	constructor(
		{ replicate }: ReplicateAddress,
		retryPolicy: RetryPolicy = RETRY_POLICY,
		silenceMs: number = SILENCE_MS,
	) {
		this.#address = replicate;
		this.#retryPolicy = retryPolicy;
		this.#silenceMs = silenceMs;
		// The client retries every failure at once, even where the first request may have created a
		// prediction. It passes the same `init` each time, so it gets the first response again, and
		// #fetch alone decides on retries.
		const responses = new WeakMap<RequestInit, Promise<Response>>();
		this.#client = new Replicate({
			auth: replicate.token,
			baseUrl: replicate.api,
			fetch: (input, init = {}) => {
				const response = responses.get(init) ?? this.#fetch(input, init);
				responses.set(init, response);
				return response;
			},
		});
	}

	async *generate(
		generation: Generation,
		signal: AbortSignal,
	): AsyncIterable<BackendEvent> {
		const { resume, sampling } = generation;
		const output = new PredictionOutput(
			resume?.text ?? "",
			resume?.tokens ?? 0,
		);
		const maxTokens = output.tokens + sampling.max_tokens;
		let run = resume?.run;
		let ended = false;
		try {
			let streamUrl: string | undefined;
			if (run === undefined) {
				const created = await this.#create(generation, signal);
				run = created.id;
				streamUrl = created.urls?.stream;
				yield { type: "begun", run };
			}
			const last = yield* this.#follow(run, streamUrl, output, signal);
			ended = true;
			if (last.status !== "succeeded") throw failureIn(last);
			const tokens = last.metrics?.input_token_count;
			if (tokens !== undefined) yield { type: "prompt", ids: [], tokens };
			const isCut = output.tokens >= maxTokens;
			yield { type: "done", reason: isCut ? "length" : "stop" };
		} catch (error) {
			throw toBackendError(error, run !== undefined);
		} finally {
			const isResumed = signal.aborted && signal.reason !== OVER;
			if (run !== undefined && !ended && !isResumed) await this.cancel(run);
		}
	}

	/**
	 * Cancels a prediction unless it has ended. Never throws: if the request fails, CANCEL_AFTER ends
	 * it.
	 */
	async cancel(run: string): Promise<void> {
		const timeout = new AbortController();
		const timer = setTimeout(() => timeout.abort(), CANCEL_TIMEOUT_MS);
		try {
			await this.#client.predictions.cancel(run, { signal: timeout.signal });
		} catch (error) {
			logLine("cancel_failed", {
				object: "replicate",
				status: statusOf(error),
			});
		} finally {
			clearTimeout(timer);
		}
	}

	async #create(
		generation: Generation,
		signal: AbortSignal,
	): Promise<Prediction> {
		const { run, webhook } = this.#address;
		const version = run.split(":")[1];
		const response = await this.#client.request(
			version ? "/predictions" : `/deployments/${run}/predictions`,
			{
				method: "POST",
				headers: { "Cancel-After": CANCEL_AFTER },
				data: {
					...(version && { version }),
					input: inputOf(generation),
					...(webhook && {
						webhook: new URL(
							`/internal/replicate/${generation.model}/${generation.job}`,
							webhook.url,
						).href,
						webhook_events_filter: ["start", "completed"],
					}),
				},
				signal,
			},
		);
		return Prediction.parse(await response.json());
	}

	/**
	 * Yields the output of a prediction until it ends. It polls the prediction once the stream has
	 * ended or broken.
	 * @returns the ended prediction
	 */
	async *#follow(
		run: string,
		streamUrl: string | undefined,
		output: PredictionOutput,
		signal: AbortSignal,
	): AsyncGenerator<BackendEvent, Prediction> {
		const close = new AbortController();
		const either = AbortSignal.any([signal, close.signal]);
		const stream =
			streamUrl === undefined ? null : readStream(streamUrl, either);
		try {
			let next = stream?.next();
			for (;;) {
				const event = next && (await nullAfter(this.#silenceMs, next));
				signal.throwIfAborted();
				if (event?.value && !LAST_EVENTS.has(event.value.event)) {
					next = stream?.next();
					if (event.value.event === "output")
						yield output.append(event.value.data);
					continue;
				}
				if (event) next = undefined;
				const prediction = await this.#get(run, signal);
				const ended = ENDED.has(prediction.status);
				if (ended || !next) {
					const missing = output.catchUp(prediction.output ?? [], ended);
					if (missing) yield missing;
				}
				if (ended) return prediction;
				if (!next) await this.#retryPolicy.sleep(POLL_MS, signal);
			}
		} finally {
			close.abort();
		}
	}

	async #get(run: string, signal: AbortSignal): Promise<Prediction> {
		return Prediction.parse(
			await this.#client.predictions.get(run, { signal }),
		);
	}

	/** Retries a failed request only if that cannot create a second prediction. */
	#fetch(input: RequestInfo, init: RequestInit): Promise<Response> {
		const isIdempotent =
			init.method === "GET" || String(input).endsWith("/cancel");
		return withRetries(
			() => fetchWhole(input, init, REQUEST_TIMEOUT_MS),
			(response) => {
				if (response?.status === 429) return true;
				const failed = response === null || response.status >= 500;
				return isIdempotent && failed;
			},
			init.signal ?? new AbortController().signal,
			this.#retryPolicy,
		);
	}
}

/** The output of a prediction as far as it has been yielded. */
class PredictionOutput {
	text: string;
	tokens: number;

	constructor(text: string, tokens: number) {
		this.text = text;
		this.tokens = tokens;
	}

	/** Takes one `output` event of the stream, which is one token. */
	append(text: string): BackendEvent {
		return this.#add(text, 1);
	}

	/**
	 * Takes what the prediction holds and the stream did not deliver; null if that is nothing.
	 * @throws BackendError if the prediction contradicts its stream
	 */
	catchUp(output: string[], ended: boolean): BackendEvent | null {
		const whole = output.join("");
		// The API may return a slightly older state of a running prediction.
		if (!ended && this.text.startsWith(whole)) return null;
		if (!whole.startsWith(this.text))
			throw new BackendError(
				"broken_stream",
				"the prediction differs from its stream",
			);
		const text = whole.slice(this.text.length);
		const tokens = output.length - this.tokens;
		if (text === "" && tokens <= 0) return null;
		return this.#add(text, Math.max(tokens, text === "" ? 0 : 1));
	}

	#add(text: string, tokens: number): BackendEvent {
		this.text += text;
		this.tokens += tokens;
		return { type: "token", ids: [], tokens, text };
	}
}

const OVER: AbortReason = "over";
const ENDED = new Set<Prediction["status"]>([
	"succeeded",
	"failed",
	"canceled",
	"aborted",
]);

/** Events that end a stream. */
const LAST_EVENTS = new Set(["done", "error"]);

/**
 * The worker protocol's request as the input of a prediction, whose members are scalars: lists
 * become JSON text.
 */
function inputOf(generation: Generation): Record<string, unknown> {
	const body = requestBody(generation);
	if (!("messages" in body))
		throw new BackendError("backend_failed", "Replicate cannot continue");
	const { model, messages, images, ...scalars } = body;
	return {
		...scalars,
		messages: JSON.stringify(messages),
		images: JSON.stringify(images),
		...(generation.trace && { traceparent: generation.trace }),
	};
}

/**
 * Yields the events of a prediction's stream until it ends or breaks. Never throws: #follow fetches
 * what is lost.
 */
async function* readStream(
	url: string,
	signal: AbortSignal,
): AsyncGenerator<ServerSentEvent, undefined> {
	let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
	try {
		const headers = { Accept: "text/event-stream" };
		const response = await fetch(url, { headers, signal });
		reader = response.body?.getReader();
		const parser = new SseParser();
		while (response.ok && reader) {
			const { done, value } = await reader.read();
			if (done) break;
			yield* parser.push(value);
		}
	} catch {
	} finally {
		await reader?.cancel().catch(() => {});
	}
}

/** Fetches a response and its whole body within `timeoutMs`. */
async function fetchWhole(
	input: RequestInfo,
	init: RequestInit,
	timeoutMs: number,
): Promise<Response> {
	const timeout = new AbortController();
	const timer = setTimeout(() => timeout.abort(), timeoutMs);
	const signals = [timeout.signal];
	if (init.signal) signals.push(init.signal);
	try {
		const response = await fetch(input, {
			...init,
			redirect: "manual",
			signal: AbortSignal.any(signals),
		});
		const body = await response.arrayBuffer();
		return new Response(body.byteLength > 0 ? body : null, response);
	} finally {
		clearTimeout(timer);
	}
}

/**
 * The failure of a prediction. Our model's `error` is the worker protocol's error object, as JSON
 * text.
 */
const failureIn = ({ status, error }: Prediction): BackendError =>
	(typeof error === "string" ? parseFailure(error) : null) ??
	new BackendError("engine_failed", `the prediction was ${status}`);

/** @param begun whether the prediction had been created */
function toBackendError(error: unknown, begun: boolean): BackendError {
	if (error instanceof BackendError) return error;
	const status = statusOf(error);
	const message = `Replicate answered ${status ?? "nothing of use"}`;
	switch (status) {
		case 400:
		case 422:
			return new BackendError("invalid_request", message);
		case 401:
		case 402:
		case 403:
			return new BackendError("unauthorized", message);
		case 413:
			return new BackendError("body_too_large", message);
		case 429:
			return new BackendError("overloaded", message);
		case 404:
			if (!begun) return new BackendError("model_not_found", message);
	}
	return new BackendError(begun ? "broken_stream" : "unreachable", message);
}

/**
 * The status of the response that made the client throw. The error's own message may quote the
 * response.
 */
const statusOf = (error: unknown): number | null =>
	(error as { response?: Response } | null)?.response?.status ?? null;
