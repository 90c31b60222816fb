import { NotFoundError } from "./errors.ts";
import { follow } from "./follow.ts";
import { JobStream } from "./job-stream.ts";
import { type Page, Paged } from "./paged.ts";
import { timeLimit } from "./timing.ts";
import {
	type Call,
	type CallOptions,
	optionsOf,
	type Transport,
} from "./transport.ts";
import type { Job, JobSummary, Receipt } from "./types.ts";
import { ulid } from "./ulid.ts";
import type { Uploads } from "./uploads.ts";
import { type NewJob, wireJob } from "./wire-job.ts";

export interface CreateOptions extends CallOptions {
	/**
	 * The job's id, a ULID. The same request under the same id is the same job, whoever sends it.
	 * Defaults to a new id.
	 */
	id?: string | undefined;
	/** Seconds, 5 to 86,400. A job that has not started by then is `expired` and costs nothing. */
	startWithin?: number | undefined;
	/** Seconds, 5 to 86,400. The API cancels a job that has not ended by then. */
	cancelAfter?: number | undefined;
}

export interface StreamOptions extends CallOptions {
	/**
	 * Also cancels the job when `signal` aborts or `totalTimeout` passes. This happens in the
	 * background; the abort does not wait for it.
	 */
	cancelOnAbort?: boolean | undefined;
}

/** Connections in a row without an event, over some minutes, after which a stream gives up. */
const MAX_EMPTY_CONNECTIONS = 30;
const CANCEL_TRIES = 5;

const pathOf = (id: string, rest = "") =>
	`/v1/jobs/${encodeURIComponent(id)}${rest}`;

/** Questions about images: `client.jobs`. A job runs and costs once, however often it is sent. */
export class Jobs {
	readonly #transport: Transport;
	readonly #uploads: Uploads;

	/** @internal */
	constructor(transport: Transport, uploads: Uploads) {
		this.#transport = transport;
		this.#uploads = uploads;
	}

	/**
	 * Creates a job, waits for its end, and returns it with the answer in `output.text`.
	 *
	 * @throws JobError if the job did not succeed; APIError, StreamError
	 * @example
	 * ```ts
	 * const job = await client.jobs.run({
	 * 	images: ["samples/cat.jpg"],
	 * 	prompt: "What is in this picture?",
	 * 	temperature: 0,
	 * });
	 * console.log(job.output.text, job.price, "micro-USD");
	 * ```
	 */
	async run(
		job: NewJob,
		options: CreateOptions & StreamOptions = {},
	): Promise<Job> {
		const total = options.totalTimeout ?? this.#transport.defaults.totalTimeout;
		const { signal, clear } = timeLimit(options.signal, total);
		// One limit on the stream and the call after it, not one on each.
		const totalTimeout = Number.POSITIVE_INFINITY;
		try {
			return await this.stream(job, { ...options, signal, totalTimeout }).job();
		} finally {
			clear();
		}
	}

	/**
	 * Creates a job, and returns its events as they happen. The first call starts when you begin to
	 * read the stream.
	 *
	 * @throws APIError, StreamError, while the stream is read
	 * @example
	 * ```ts
	 * const stream = client.jobs.stream({
	 * 	images: ["samples/cat.jpg"],
	 * 	task: "describe",
	 * 	temperature: 0,
	 * });
	 * for await (const piece of stream.text()) process.stdout.write(piece);
	 * ```
	 */
	stream(
		job: NewJob,
		{ id = ulid(), ...options }: CreateOptions & StreamOptions = {},
	): JobStream {
		let creation: Call | undefined;
		return this.#streamOf(id, 0, options, async (signal) => {
			creation ??= await this.#creation(id, job, { ...options, signal });
			return creation;
		});
	}

	/**
	 * Returns the events of a job that exists, from its first event or from the one after `after`.
	 *
	 * @throws APIError, StreamError, while the stream is read
	 * @example
	 * ```ts
	 * const { id } = await client.jobs.create({
	 * 	images: ["samples/cat.jpg"],
	 * 	prompt: "What is in this picture?",
	 * 	temperature: 0,
	 * });
	 * for await (const piece of client.jobs.events(id).text()) process.stdout.write(piece);
	 * ```
	 */
	events(
		id: string,
		{ after = 0, ...options }: StreamOptions & { after?: number } = {},
	): JobStream {
		return this.#streamOf(id, after, options, async () => undefined);
	}

	/**
	 * Creates a job, and returns it at once, before it runs. `get` and `events` read its answer.
	 *
	 * @throws APIError; MiniGPT4Error for an image that cannot be read
	 * @example
	 * ```ts
	 * const job = await client.jobs.create(
	 * 	{ images: ["samples/coffee.jpg"], prompt: "What is in this picture?" },
	 * 	{ startWithin: 600 },
	 * );
	 * console.log(job.id, job.status);
	 * ```
	 */
	async create(
		job: NewJob,
		{ id = ulid(), ...options }: CreateOptions = {},
	): Promise<Job> {
		const total = options.totalTimeout ?? this.#transport.defaults.totalTimeout;
		const { signal, clear } = timeLimit(options.signal, total);
		try {
			const call = await this.#creation(id, job, { ...options, signal });
			return await this.#transport.json(call);
		} finally {
			clear();
		}
	}

	/**
	 * Gets a job: its status, its text so far, its usage in tokens, its price in micro-USD.
	 *
	 * @throws NotFoundError `job_not_found`, GoneError `job_gone`
	 * @example
	 * ```ts
	 * const { id } = await client.jobs.create({ images: ["samples/coffee.jpg"], task: "describe" });
	 * const { status, output } = await client.jobs.get(id);
	 * console.log(id, status, output.text);
	 * ```
	 */
	get(id: string, options?: CallOptions): Promise<Job> {
		return this.#transport.json({ ...optionsOf(options), path: pathOf(id) });
	}

	/**
	 * Lists the account's jobs, newest first. Deleted jobs are not included.
	 *
	 * @param options `limit` is the size of a page, 1 to 100; `cursor` starts at a later page
	 * @example
	 * ```ts
	 * for await (const { id, status, price } of client.jobs.list()) console.log(id, status, price);
	 * ```
	 */
	list({
		limit,
		cursor,
		...options
	}: CallOptions & {
		limit?: number;
		cursor?: string;
	} = {}): Paged<JobSummary> {
		return new Paged((next = cursor) =>
			this.#transport.json<Page<JobSummary>>({
				...optionsOf(options),
				path: "/v1/jobs",
				query: { limit, cursor: next },
			}),
		);
	}

	/**
	 * Cancels a job. This is free before the first token; after it the job costs what
	 * it wrote. A job that has ended stays as it is.
	 *
	 * @throws NotFoundError `job_not_found`, GoneError `job_gone`
	 * @example
	 * ```ts
	 * const { id } = await client.jobs.create({ images: ["samples/coffee.jpg"], task: "story" });
	 * await client.jobs.cancel(id);
	 * for await (const event of client.jobs.events(id))
	 * 	if (event.type === "job.canceled") console.log(event.type);
	 * ```
	 */
	cancel(id: string, options?: CallOptions): Promise<Job> {
		return this.#transport.json({
			...optionsOf(options),
			method: "POST",
			path: pathOf(id, "/cancel"),
		});
	}

	/**
	 * Deletes a job that has ended: its text, its request, and the images that were sent with it. Its
	 * id stays taken.
	 *
	 * @throws ConflictError `job_not_finished`, NotFoundError `job_not_found`
	 * @example
	 * ```ts
	 * const { id } = await client.jobs.run({ images: ["samples/coffee.jpg"], task: "describe" });
	 * await client.jobs.delete(id);
	 * console.log("Deleted", id);
	 * ```
	 */
	delete(id: string, options?: CallOptions): Promise<void> {
		return this.#transport.json({
			...optionsOf(options),
			method: "DELETE",
			path: pathOf(id),
		});
	}

	/**
	 * Gets the signed receipt of a job that has ended: what was asked, which weights answered, the
	 * hashes of images and answer, the tokens and the price. `receipts.verify` checks it.
	 *
	 * @throws ConflictError `job_not_finished`, NotFoundError `job_not_found`, GoneError `job_gone`
	 * @example
	 * ```ts
	 * const { id } = await client.jobs.run({ images: ["samples/coffee.jpg"], task: "describe" });
	 * const { receipt, claims } = await client.jobs.receipt(id);
	 * console.log(receipt.length, claims.request_sha256, claims.output_sha256);
	 * ```
	 */
	receipt(id: string, options?: CallOptions): Promise<Receipt> {
		return this.#transport.json({
			...optionsOf(options),
			path: pathOf(id, "/receipt"),
		});
	}

	/** @param creation returns the call that creates the job; undefined if the job exists */
	#streamOf(
		id: string,
		after: number,
		options: StreamOptions,
		creation: (signal: AbortSignal) => Promise<Call | undefined>,
	): JobStream {
		// The total limit bounds the stream, not each of its calls.
		const callOptions = optionsOf({
			...options,
			totalTimeout: Number.POSITIVE_INFINITY,
		});
		const jobs = this;
		const transport = this.#transport;
		async function* events() {
			const total = options.totalTimeout ?? transport.defaults.totalTimeout;
			const { signal, clear } = timeLimit(options.signal, total);
			try {
				let create = await creation(signal);
				yield* follow(transport, {
					callAfter(after) {
						// The first call creates the job; later ones only ask for its events.
						const call = create ?? {
							...callOptions,
							path: pathOf(id, "/events"),
						};
						create = undefined;
						const headers = { ...call.headers, "Last-Event-ID": String(after) };
						return { ...call, headers };
					},
					isGap: (after, seq) => seq > after + 1,
					after,
					maxEmptyConnections: MAX_EMPTY_CONNECTIONS,
					signal,
				});
			} finally {
				clear();
				if (signal.aborted && options.cancelOnAbort)
					void jobs.#cancelInBackground(id).catch(() => {});
			}
		}
		return new JobStream(id, {
			events,
			after,
			get: () => this.get(id, callOptions),
			cancel: () => this.cancel(id, callOptions),
		});
	}

	/** Retries a 404, because a creation that is on its way may arrive after the first try. */
	async #cancelInBackground(id: string): Promise<void> {
		for (let tries = 0; tries < CANCEL_TRIES; tries++)
			try {
				await this.cancel(id);
				return;
			} catch (error) {
				if (!(error instanceof NotFoundError)) throw error;
				await new Promise((resolve) => setTimeout(resolve, 500));
			}
	}

	/** Uploads the images, and returns the call that creates the job, which is safe to repeat. */
	async #creation(
		id: string,
		job: NewJob,
		options: CreateOptions,
	): Promise<Call> {
		const { startWithin, cancelAfter } = options;
		const callOptions = optionsOf(options);
		return {
			...callOptions,
			method: "PUT",
			path: pathOf(id),
			headers: {
				"Start-Within": startWithin?.toString(),
				"Cancel-After": cancelAfter?.toString(),
			},
			json: await wireJob(this.#uploads, job, callOptions),
		};
	}
}
