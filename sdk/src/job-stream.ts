import { sha256 } from "./digest.ts";
import { JobError, StreamError } from "./errors.ts";
import type { Numbered } from "./follow.ts";
import type { Job, JobEvent } from "./types.ts";

/** What a stream needs of the jobs it belongs to. @internal */
export interface Source {
	/** The events after the one that the stream begins behind. */
	events: () => AsyncGenerator<Numbered>;
	get: () => Promise<Job>;
	cancel: () => Promise<Job>;
	/** Sequence number that the stream begins behind. */
	after: number;
}

/**
 * A job's events as they come, each once and in order, through broken connections and restarts of the API. The call is made
 * when the reading begins, and it can be read once: as events, as `text()`, or to its end with `job()`.
 */
export class JobStream implements AsyncIterable<JobEvent> {
	/** The job's id, known before the job is. */
	readonly id: string;
	readonly #source: Source;
	#reading: AsyncGenerator<JobEvent, void, undefined> | undefined;
	#sha256: string | undefined;

	/** @internal */
	constructor(id: string, source: Source) {
		this.id = id;
		this.#source = source;
	}

	/**
	 * The events up to and with `done`, which is only handed out when length and hash of the text agree with it.
	 * @throws StreamError, APIError
	 */
	[Symbol.asyncIterator](): AsyncGenerator<JobEvent, void, undefined> {
		if (this.#reading) throw new TypeError("A job's stream is read once.");
		this.#reading = this.#events();
		return this.#reading;
	}

	/** The answer's pieces as they come. */
	async *text(): AsyncGenerator<string, void, undefined> {
		for await (const event of this)
			if (event.type === "token") yield event.data.text;
	}

	/** Reads what is left, and answers the job as it ended. @throws JobError where it did not succeed; StreamError, APIError */
	async job(): Promise<Job> {
		const reading = this.#reading ?? this[Symbol.asyncIterator]();
		while (!(await reading.next()).done);
		const job = await this.#source.get();
		if (this.#sha256 && job.sha256 !== this.#sha256)
			throw mismatch("The job's text is not the one that was streamed.");
		if (job.status !== "succeeded") throw new JobError(job);
		return job;
	}

	/** Cancels the job itself: free before its first token. The stream then tells so, and ends. */
	cancel(): Promise<Job> {
		return this.#source.cancel();
	}

	async *#events(): AsyncGenerator<JobEvent, void, undefined> {
		const { events, after } = this.#source;
		let text = "";
		for await (const numbered of events()) {
			const event = numbered as JobEvent;
			if (event.type === "token") text += event.data.text;
			if (event.type !== "done") {
				yield event;
				continue;
			}
			const { last_seq, bytes, sha256: said } = event.data;
			if (last_seq !== event.seq)
				throw mismatch(`The log has ${last_seq} events; ${event.seq} came.`);
			// Who came later knows only the rest of the text.
			if (after === 0) {
				const utf8 = new TextEncoder().encode(text);
				const hash = await sha256(utf8);
				if (utf8.length !== bytes || (hash && hash !== said))
					throw mismatch(
						`The text that came has ${utf8.length} bytes with SHA-256 ${hash}; it should have ${bytes} with ${said}.`,
					);
				this.#sha256 = said;
			}
			yield event;
			return;
		}
	}
}

const mismatch = (message: string) =>
	new StreamError("stream_mismatch", message);
