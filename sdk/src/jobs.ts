import { NotFoundError } from "./errors.ts";
import { follow } from "./follow.ts";
import { JobStream } from "./job-stream.ts";
import { limit } from "./limit.ts";
import { type Page, Paged } from "./paged.ts";
import type { UploadSource } from "./platform.ts";
import {
	type Call,
	type CallOptions,
	optionsOf,
	type Transport,
} from "./transport.ts";
import type { Job, JobRequest, JobSummary } from "./types.ts";
import { ulid } from "./ulid.ts";
import type { Uploads } from "./uploads.ts";

type WireImage = NonNullable<JobRequest["images"]>[number];

/**
 * What to ask. An image is one that the API knows or fetches (`{ upload }`, `{ url }`, a `https:` or `data:` URL as text), or
 * one that is here and is uploaded first: a path, a Blob or File, bytes, a stream.
 */
export type NewJob = Omit<JobRequest, "images"> & {
	images?: (WireImage | UploadSource)[];
};

export interface CreateOptions extends CallOptions {
	/** A ULID that names the job: the same request under the same id is the same job, whoever sends it. Drawn when left out. */
	id?: string | undefined;
	/** Seconds from 5 to 86,400; a job that has not started by then is `expired`, free. */
	startWithin?: number | undefined;
	/** Seconds from 5 to 86,400; a job that has not ended by then is canceled. */
	cancelAfter?: number | undefined;
}

export interface StreamOptions extends CallOptions {
	/** Cancels the job too when `signal` aborts or `totalTimeout` is over. In the background: the abort does not wait for it. */
	cancelOnAbort?: boolean | undefined;
}

/** Empty connections in a row before a stream gives up: minutes of them. */
const PATIENCE = 30;

const pathOf = (id: string, rest = "") =>
	`/v1/jobs/${encodeURIComponent(id)}${rest}`;

/** Questions about images. */
export class Jobs {
	readonly #transport: Transport;
	readonly #uploads: Uploads;

	/** @internal */
	constructor(transport: Transport, uploads: Uploads) {
		this.#transport = transport;
		this.#uploads = uploads;
	}

	/** Asks, and waits for the answer. @throws JobError where the job did not succeed; APIError, StreamError */
	async run(
		job: NewJob,
		options: CreateOptions & StreamOptions = {},
	): Promise<Job> {
		const total = options.totalTimeout ?? this.#transport.defaults.totalTimeout;
		const { signal, end } = limit(options.signal, total);
		// One limit on all of it, not one on each of its calls.
		const totalTimeout = Number.POSITIVE_INFINITY;
		try {
			return await this.stream(job, { ...options, signal, totalTimeout }).job();
		} finally {
			end();
		}
	}

	/** Asks, and answers the events as they come. Nothing is sent before the first of them is awaited. */
	stream(
		job: NewJob,
		{ id = ulid(), ...options }: CreateOptions & StreamOptions = {},
	): JobStream {
		let created: Call | undefined;
		return this.#read(id, 0, options, async (signal) => {
			created ??= await this.#creation(id, job, { ...options, signal });
			return created;
		});
	}

	/** The events of a job that exists, after the one with the number `after`. */
	events(
		id: string,
		{ after = 0, ...options }: StreamOptions & { after?: number } = {},
	): JobStream {
		return this.#read(id, after, options, async () => undefined);
	}

	/** Asks, and answers the job as it is at once: `get` it later, or read its `events`. Tried again it is still one job. */
	async create(
		job: NewJob,
		{ id = ulid(), ...options }: CreateOptions = {},
	): Promise<Job> {
		const total = options.totalTimeout ?? this.#transport.defaults.totalTimeout;
		const { signal, end } = limit(options.signal, total);
		try {
			const call = await this.#creation(id, job, { ...options, signal });
			return await this.#transport.json(call);
		} finally {
			end();
		}
	}

	/** The job, with its text so far. */
	get(id: string, options?: CallOptions): Promise<Job> {
		return this.#transport.json({ ...optionsOf(options), path: pathOf(id) });
	}

	/** The account's jobs, newest first. */
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

	/** Free before the first token; after it the job costs its share of the price. A job that has ended is answered as it is. */
	cancel(id: string, options?: CallOptions): Promise<Job> {
		const path = pathOf(id, "/cancel");
		return this.#transport.json({
			...optionsOf(options),
			...{ method: "POST", path },
		});
	}

	/** Erases a job that has ended: text, request, and the images that came along. Its id stays taken. */
	delete(id: string, options?: CallOptions): Promise<void> {
		const path = pathOf(id);
		return this.#transport.json({
			...optionsOf(options),
			...{ method: "DELETE", path },
		});
	}

	/** @param creation the call that makes the job, where the stream is to make it */
	#read(
		id: string,
		after: number,
		options: StreamOptions,
		creation: (signal: AbortSignal) => Promise<Call | undefined>,
	): JobStream {
		const each = optionsOf({
			...options,
			totalTimeout: Number.POSITIVE_INFINITY,
		});
		const jobs = this;
		const transport = this.#transport;
		async function* events() {
			const total = options.totalTimeout ?? transport.defaults.totalTimeout;
			const { signal, end } = limit(options.signal, total);
			try {
				let create = await creation(signal);
				yield* follow(transport, {
					open(after) {
						// Once it exists, only its events are asked for.
						const call = create ?? { ...each, path: pathOf(id, "/events") };
						create = undefined;
						const headers = { ...call.headers, "Last-Event-ID": String(after) };
						return { ...call, headers };
					},
					...{ after, patience: PATIENCE, signal },
					gap: (after, seq) => seq > after + 1,
				});
			} finally {
				end();
				if (signal.aborted && options.cancelOnAbort)
					void jobs.#cancelLater(id).catch(() => {});
			}
		}
		return new JobStream(id, {
			...{ events, after },
			get: () => this.get(id, each),
			cancel: () => this.cancel(id, each),
		});
	}

	/** A job whose creation was under way may appear a moment later. */
	async #cancelLater(id: string): Promise<void> {
		for (let tries = 0; tries < 5; tries++)
			try {
				await this.cancel(id);
				return;
			} catch (error) {
				if (!(error instanceof NotFoundError)) throw error;
				await new Promise((resolve) => setTimeout(resolve, 500));
			}
	}

	/** The call that makes the job, its images uploaded. However often it is made, there is one job. */
	async #creation(
		id: string,
		{ images, ...job }: NewJob,
		options: CreateOptions,
	): Promise<Call> {
		const { startWithin, cancelAfter } = options;
		const each = optionsOf(options);
		const sent =
			images &&
			(await Promise.all(images.map((image) => this.#wireImage(image, each))));
		return {
			...each,
			...{ method: "PUT", path: pathOf(id) },
			headers: {
				"Start-Within": startWithin?.toString(),
				"Cancel-After": cancelAfter?.toString(),
			},
			json: { ...job, ...(sent && { images: sent }) },
		};
	}

	async #wireImage(
		image: WireImage | UploadSource,
		options: CallOptions,
	): Promise<WireImage> {
		if (typeof image === "string" || "href" in image) {
			const url = String(image);
			if (/^(https?|data):/i.test(url)) return { url };
		} else if ("upload" in image || "url" in image) return image;
		const { id } = await this.#uploads.create(image, options);
		return { upload: id };
	}
}
