/** One attempt: a backend's stream into the job's log, in paced batches. */
import {
	type Backend,
	BackendError,
	type Generation,
} from "../backends/backend.ts";
import { PendingBatch } from "./batch.ts";
import type { Batch } from "./log.ts";

export interface AttemptSink {
	/** What the backend began can be resumed by this name from now on. */
	begun(run: string): void;
	/** The prompt as ids; to be written with the first tokens. */
	prompt(prompt: { ids: number[]; tokens: number }): void;
	/** Writes at once; resolves when the batch is durable and shown. */
	commit(batch: Batch): Promise<void>;
	/** Milliseconds until the next batch. */
	pace(): number;
}

export type AttemptEnd =
	/** `rest` is not in the log yet: it goes there together with the job's end. */
	| { end: "finished"; reason: "stop" | "length"; rest: Batch | null }
	/** The caller's signal. */
	| { end: "aborted" }
	| { end: "failed"; error: BackendError };

/** Runs until the answer or the stream ends. Tokens that came before a failure are in the log.
 * @throws whatever the sink throws */
export async function attempt(
	backend: Backend,
	generation: Generation,
	text: { stops: readonly string[]; held: string },
	sink: AttemptSink,
	signal: AbortSignal,
): Promise<AttemptEnd> {
	const pending = new PendingBatch(text.stops, text.held);
	const broken = new AbortController();
	let left = generation.maxTokens;
	let flushing = false;
	let over = false;

	/** The first token is written at once; then one batch per pace, until none waits. */
	const flush = async () => {
		flushing = true;
		try {
			while (!over) {
				const batch = pending.take();
				if (!batch) break;
				await sink.commit(batch);
				await sleep(sink.pace());
			}
		} catch (error) {
			broken.abort(error);
		}
		flushing = false;
	};
	const finished = (reason: "stop" | "length"): AttemptEnd => ({
		end: "finished",
		reason,
		rest: pending.rest(),
	});

	try {
		const either = AbortSignal.any([signal, broken.signal]);
		for await (const event of backend.generate(generation, either)) {
			if (event.type === "begun") sink.begun(event.run);
			else if (event.type === "prompt") sink.prompt(event);
			else if (event.type === "done") return finished(event.reason);
			else {
				left -= event.tokens;
				// Nobody can say which of them are the answer.
				if (left < 0)
					throw new BackendError(
						"backend_failed",
						"more tokens than were asked for",
					);
				if (pending.add(event)) return finished("stop");
				if (!flushing) void flush();
			}
		}
		throw new BackendError("broken_stream", "the stream ended without `done`");
	} catch (error) {
		over = true;
		if (broken.signal.aborted) throw broken.signal.reason;
		const seen = pending.take();
		if (seen) await sink.commit(seen);
		if (signal.aborted) return { end: "aborted" };
		if (error instanceof BackendError) return { end: "failed", error };
		throw error;
	} finally {
		over = true;
	}
}

const sleep = (ms: number) =>
	new Promise<void>((resolve) => setTimeout(resolve, ms));
