/**
 * Models that Replicate serves, as docs/replicate.md describes them. A prediction is created, its stream read, and its end looked
 * up: what the stream lost is in the prediction. It goes on when nobody listens, so it can be taken up again by its id; and
 * it is canceled when nobody wants it any more.
 */

import Replicate from "replicate";
import { z } from "zod";
import { log } from "../log.ts";
import type { ReplicateAddress } from "../models.ts";
import { nullAfter } from "../time.ts";
import {
	type Backend,
	BackendError,
	type BackendEvent,
	type Generation,
	type HangUp,
} from "./backend.ts";
import { RETRY_POLICY, type RetryPolicy, withRetries } from "./retry.ts";
import { type ServerSentEvent, SseParser } from "./sse-parser.ts";
import { bodyOf, failureOf, type Probed } from "./worker.ts";

/** Nobody pays for a prediction that everybody forgot. As long as the URLs of the images are good for. */
const CANCEL_AFTER = "15m";
/** One request to the API. */
const ANSWER_MS = 30_000;
const PROBE_MS = 5_000;
const CANCEL_MS = 2_000;
/** A stream that has been silent for this long is not taken at its word: the prediction is looked up. */
const SILENCE_MS = 10_000;
/** Between looks at a prediction whose stream broke or ended. */
const LOOK_MS = 500;

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
	/** Pieces of text, or all of it. */
	output: z
		.union([z.array(z.string()), z.string().transform((text) => [text])])
		.nullish(),
	error: z.unknown(),
	metrics: z.object({ input_token_count: z.int().optional() }).nullish(),
	urls: z.object({ stream: z.url().optional() }).nullish(),
});
type Prediction = z.infer<typeof Prediction>;

/** What describes a deployment, or a version. */
const Described = z.union([
	z.object({ current_release: z.object({ version: z.string().min(1) }) }),
	z.object({ id: z.string().min(1) }),
]);

/** Whether Replicate knows the deployment or version. One that has no instance up is as ready: a prediction starts one. Never throws. */
export async function probeReplicate({
	url,
	replicate: { model, token, slots },
}: ReplicateAddress): Promise<Probed> {
	try {
		const headers = { Authorization: `Bearer ${token}` };
		const response = await whole(url, { headers }, PROBE_MS);
		const known = Described.safeParse(response.ok && (await response.json()));
		if (!known.success) return { status: "away" };
		const digest =
			"id" in known.data ? known.data.id : known.data.current_release.version;
		return { status: "ready", model, digest, slots };
	} catch {
		return { status: "away" };
	}
}

export class ReplicateBackend implements Backend {
	readonly continues = false;
	readonly #address: ReplicateAddress["replicate"];
	readonly #patience: RetryPolicy;
	readonly #silenceMs: number;
	readonly #client: Replicate;

	constructor(
		{ replicate }: ReplicateAddress,
		patience: RetryPolicy = RETRY_POLICY,
		silenceMs: number = SILENCE_MS,
	) {
		this.#address = replicate;
		this.#patience = patience;
		this.#silenceMs = silenceMs;
		// The client repeats whatever failed, at once, and even where it may have made something: it gets the answer it got.
		const answers = new WeakMap<RequestInit, Promise<Response>>();
		this.#client = new Replicate({
			auth: replicate.token,
			baseUrl: replicate.api,
			fetch: (input, init = {}) => {
				const answer = answers.get(init) ?? this.#ask(input, init);
				answers.set(init, answer);
				return answer;
			},
		});
	}

	async *generate(
		generation: Generation,
		signal: AbortSignal,
	): AsyncIterable<BackendEvent> {
		const { resume, sampling } = generation;
		const heard = new PredictionText(resume?.text ?? "", resume?.tokens ?? 0);
		const most = heard.tokens + sampling.max_tokens;
		let run = resume?.run;
		let over = false;
		try {
			let stream: string | undefined;
			if (run === undefined) {
				const made = await this.#create(generation, signal);
				run = made.id;
				stream = made.urls?.stream;
				yield { type: "begun", run };
			}
			const last = yield* this.#follow(run, stream, heard, signal);
			over = true;
			if (last.status !== "succeeded") throw whyNot(last);
			const read = last.metrics?.input_token_count;
			if (read !== undefined) yield { type: "prompt", ids: [], tokens: read };
			yield { type: "done", reason: heard.tokens < most ? "stop" : "length" };
		} catch (error) {
			throw failed(error, run !== undefined);
		} finally {
			const wanted = signal.aborted && signal.reason !== OVER;
			if (run !== undefined && !over && !wanted) await this.cancel(run);
		}
	}

	/** Ends a prediction; one that ended stays as it is. Never throws: what is not canceled now ends by its deadline. */
	async cancel(run: string): Promise<void> {
		const late = new AbortController();
		const timer = setTimeout(() => late.abort(), CANCEL_MS);
		try {
			await this.#client.predictions.cancel(run, { signal: late.signal });
		} catch (error) {
			log("cancel_failed", { object: "replicate", status: statusOf(error) });
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

	/** All that the prediction says. @returns how it ended */
	async *#follow(
		run: string,
		url: string | undefined,
		heard: PredictionText,
		signal: AbortSignal,
	): AsyncGenerator<BackendEvent, Prediction> {
		const hangUp = new AbortController();
		const either = AbortSignal.any([signal, hangUp.signal]);
		const stream = url === undefined ? null : listen(url, either);
		try {
			let next = stream?.next();
			for (;;) {
				const event = next && (await nullAfter(this.#silenceMs, next));
				signal.throwIfAborted();
				if (event?.value && !LAST.has(event.value.event)) {
					next = stream?.next();
					if (event.value.event === "output")
						yield heard.piece(event.value.data);
					continue;
				}
				if (event) next = undefined;
				const prediction = await this.#look(run, signal);
				const ended = ENDED.has(prediction.status);
				if (ended || !next) {
					const rest = heard.rest(prediction.output ?? [], ended);
					if (rest) yield rest;
				}
				if (ended) return prediction;
				if (!next) await this.#patience.sleep(LOOK_MS, signal);
			}
		} finally {
			hangUp.abort();
		}
	}

	async #look(run: string, signal: AbortSignal): Promise<Prediction> {
		return Prediction.parse(
			await this.#client.predictions.get(run, { signal }),
		);
	}

	/** Repeated where nothing can have been made by it. */
	#ask(input: RequestInfo, init: RequestInit): Promise<Response> {
		const harmless = init.method === "GET" || String(input).endsWith("/cancel");
		return withRetries(
			() => whole(input, init, ANSWER_MS),
			(answer) => answer?.status === 429 || (harmless && !answered(answer)),
			init.signal ?? new AbortController().signal,
			this.#patience,
		);
	}
}

/** What a prediction has said so far. */
class PredictionText {
	text: string;
	tokens: number;

	constructor(text: string, tokens: number) {
		this.text = text;
		this.tokens = tokens;
	}

	/** The model gives one piece per token. */
	piece(text: string): BackendEvent {
		return this.#more(text, 1);
	}

	/** What the prediction holds and the stream did not bring; null where that is nothing. @throws BackendError where they differ */
	rest(output: string[], ended: boolean): BackendEvent | null {
		const whole = output.join("");
		// A prediction in progress may be shown as it was a moment ago.
		if (!ended && this.text.startsWith(whole)) return null;
		if (!whole.startsWith(this.text))
			throw new BackendError(
				"broken_stream",
				"the prediction differs from its stream",
			);
		const text = whole.slice(this.text.length);
		const tokens = output.length - this.tokens;
		if (text === "" && tokens <= 0) return null;
		return this.#more(text, Math.max(tokens, text === "" ? 0 : 1));
	}

	#more(text: string, tokens: number): BackendEvent {
		this.text += text;
		this.tokens += tokens;
		return { type: "token", ids: [], tokens, text };
	}
}

const OVER: HangUp = "over";
const ENDED = new Set<Prediction["status"]>([
	"succeeded",
	"failed",
	"canceled",
	"aborted",
]);

/** Events of a stream after which nothing comes, for good or not. */
const LAST = new Set(["done", "error"]);

/** The worker protocol's request, flat: what is no number is JSON text. */
function inputOf(generation: Generation): Record<string, unknown> {
	const body = bodyOf(generation);
	if (!("messages" in body))
		throw new BackendError("backend_failed", "Replicate cannot continue");
	const { model, messages, images, ...numbers } = body;
	return {
		...numbers,
		messages: JSON.stringify(messages),
		images: JSON.stringify(images),
		...(generation.trace && { traceparent: generation.trace }),
	};
}

/** The events of a prediction's stream until it breaks or ends. Never throws: what it does not bring is looked up. */
async function* listen(
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

/** An answer with all of its body. */
async function whole(
	input: RequestInfo,
	init: RequestInit,
	ms: number,
): Promise<Response> {
	const late = new AbortController();
	const timer = setTimeout(() => late.abort(), ms);
	const signals = [init.signal ?? [], late.signal].flat();
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

const answered = (response: Response | null): boolean =>
	response !== null && response.status < 500;

/** A model that fails says why as a worker does: its error is the protocol's error object, as JSON. */
const whyNot = ({ status, error }: Prediction): BackendError =>
	(typeof error === "string" ? failureOf(error) : null) ??
	new BackendError("engine_failed", `the prediction was ${status}`);

/** What the client or we threw, as a failure of the attempt. */
function failed(error: unknown, begun: boolean): BackendError {
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

/** Of the answer that made the client throw; its message would quote the answer. */
const statusOf = (error: unknown): number | null =>
	(error as { response?: Response } | null)?.response?.status ?? null;
