import { sha256 } from "./bytes.ts";
import { JobError, StreamError } from "./errors.ts";
import type { NumberedEvent } from "./follow.ts";
import type { Job, JobEvent } from "./types.ts";

/** The calls that a stream makes for its job. @internal */
export interface JobCalls {
	/** Opens the events after `after`. */
	events: () => AsyncGenerator<NumberedEvent>;
	get: () => Promise<Job>;
	cancel: () => Promise<Job>;
	/** Sequence number of the event that the stream starts after. */
	after: number;
}

/**
 * A job's events as they happen, each once and in order. The stream survives broken connections and
 * restarts of the API. Its first call starts when you begin to read. Read it once: event by event
 * with `for await`, the text alone with `text()`, or to its end with `job()`.
 *
 * @example
 * ```ts
 * const stream = client.jobs.stream({
 * 	images: ["samples/cat.jpg"],
 * 	prompt: "What is in this picture?",
 * 	temperature: 0,
 * });
 * for await (const event of stream) {
 * 	if (event.type === "job.running") console.log("The model starts.");
 * 	if (event.type === "token") process.stdout.write(event.data.text);
 * }
 * ```
 */
export class JobStream implements AsyncIterable<JobEvent> {
	/** The job's id, known before the API creates the job. */
	readonly id: string;
	readonly #calls: JobCalls;
	#reading: AsyncGenerator<JobEvent, void, undefined> | undefined;
	#sha256: string | undefined;

	/** @internal */
	constructor(id: string, calls: JobCalls) {
		this.id = id;
		this.#calls = calls;
	}

	/**
	 * Yields the events up to and including `done`. The stream yields `done` only if the length and
	 * the hash of the received text agree with it.
	 *
	 * @throws StreamError, APIError
	 */
	[Symbol.asyncIterator](): AsyncGenerator<JobEvent, void, undefined> {
		if (this.#reading) throw new TypeError("A job's stream can be read once.");
		this.#reading = this.#events();
		return this.#reading;
	}

	/**
	 * Yields the answer's text in pieces, as the model writes it. A job that fails ends the text
	 * early: `job()` afterwards tells how it ended.
	 *
	 * @throws StreamError, APIError
	 * @example
	 * ```ts
	 * const stream = client.jobs.stream({
	 * 	images: ["samples/cat.jpg"],
	 * 	prompt: "What is in this picture?",
	 * 	temperature: 0,
	 * });
	 * for await (const piece of stream.text()) process.stdout.write(piece);
	 * ```
	 */
	async *text(): AsyncGenerator<string, void, undefined> {
		for await (const event of this)
			if (event.type === "token") yield event.data.text;
	}

	/**
	 * Reads the rest of the stream, and returns the job as it ended.
	 *
	 * @throws JobError if the job did not succeed; StreamError, APIError
	 * @example
	 * ```ts
	 * const stream = client.jobs.stream({
	 * 	images: ["samples/cat.jpg"],
	 * 	prompt: "What is in this picture?",
	 * 	temperature: 0,
	 * });
	 * for await (const piece of stream.text()) process.stdout.write(piece);
	 * const { usage, price } = await stream.job();
	 * console.log(`\n${usage.output_tokens} tokens for ${price} micro-USD`);
	 * ```
	 */
	async job(): Promise<Job> {
		const reading = this.#reading ?? this[Symbol.asyncIterator]();
		while (!(await reading.next()).done);
		const job = await this.#calls.get();
		if (this.#sha256 && job.sha256 !== this.#sha256)
			throw mismatch("The job's text differs from the streamed text.");
		if (job.status !== "succeeded") throw new JobError(job);
		return job;
	}

	/**
	 * Cancels the job. This is free before the first token; after it the job costs what
	 * it wrote. The stream then yields `job.canceled` and ends.
	 *
	 * @throws APIError
	 * @example
	 * ```ts
	 * const stream = client.jobs.stream({ images: ["samples/coffee.jpg"], task: "story" });
	 * for await (const event of stream) {
	 * 	if (event.type === "job.queued") await stream.cancel();
	 * 	if (event.type === "job.canceled") console.log(event.type);
	 * }
	 * ```
	 */
	cancel(): Promise<Job> {
		return this.#calls.cancel();
	}

	async *#events(): AsyncGenerator<JobEvent, void, undefined> {
		const { events, after } = this.#calls;
		let text = "";
		for await (const numbered of events()) {
			const event = numbered as JobEvent;
			if (event.type === "token") text += event.data.text;
			if (event.type !== "done") {
				yield event;
				continue;
			}
			const { last_seq, bytes, sha256: expected } = event.data;
			if (last_seq !== event.seq)
				throw mismatch(
					`The job's log has ${last_seq} events; the last one received is ${event.seq}.`,
				);
			// A stream that starts after the first event has only a part of the text.
			if (after === 0) {
				const utf8 = new TextEncoder().encode(text);
				const hash = await sha256(utf8);
				if (utf8.length !== bytes || (hash && hash !== expected))
					throw mismatch(
						[
							`The received text has ${utf8.length} bytes with SHA-256 ${hash};`,
							`the API sent ${bytes} with ${expected}.`,
						].join(" "),
					);
				this.#sha256 = expected;
			}
			yield event;
			return;
		}
	}
}

const mismatch = (message: string) =>
	new StreamError("stream_mismatch", message);
