/** One call over HTTP: headers, time limits, and trying again where that may help and cannot harm. */
import { backoff, sleep } from "./backoff.ts";
import {
	APIError,
	ConnectionError,
	errorOf,
	ForeignAnswerError,
	MiniGPT4Error,
	TimeoutError,
} from "./errors.ts";
import { limit } from "./limit.ts";
import type { Answer, Fetch, Signal } from "./platform.ts";

/** What every method takes. Times are in milliseconds. */
export interface CallOptions {
	/** Ends the call, waits and retries included: it rejects with the signal's reason. */
	signal?: Signal | undefined;
	/** Of one try. 60,000 unless told otherwise. */
	timeout?: number | undefined;
	/** Of the whole call: tries, waits, and where it streams, the stream. None unless told otherwise. */
	totalTimeout?: number | undefined;
	/** How long to go on trying where the API is away, overloaded or failing. 60,000 unless told otherwise; 0 never tries again. */
	retryFor?: number | undefined;
}

/** @internal */
export interface Call extends CallOptions {
	method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | undefined;
	/** Below the base URL, or a whole URL of someone else, who does not get the key. */
	path: string;
	query?: Record<string, string | number | undefined> | undefined;
	headers?: Record<string, string | undefined> | undefined;
	/** Sent as JSON. */
	json?: unknown;
	/** Sent as it is, made anew for each try. */
	body?: (() => unknown) | undefined;
	/** Where doing it twice is not the same as doing it once, it is tried again only if it cannot have been done. */
	once?: boolean | undefined;
	/** Does without a key. */
	open?: boolean | undefined;
	/** Looks into a connection that was lost more than once, or for good: what it answers is thrown, and ends the tries. */
	lost?:
		| ((error: ConnectionError, signal: AbortSignal) => Promise<Error | null>)
		| undefined;
}

/** @internal */
export interface TransportOptions extends CallOptions {
	baseURL: string;
	apiKey: string | undefined;
	/** The platform's own when left out. */
	fetch?: Fetch | undefined;
}

/** @internal */
export class Transport {
	readonly baseURL: string;
	readonly defaults: CallOptions;
	readonly #apiKey: string | undefined;
	readonly fetch: Fetch;
	/** Whether it is the platform's own `fetch`. */
	readonly isPlatforms: boolean;

	constructor({ baseURL, apiKey, fetch, ...defaults }: TransportOptions) {
		this.baseURL = baseURL.replace(/\/+$/, "");
		this.#apiKey = apiKey;
		this.isPlatforms = !fetch;
		// Called as a method of something else, it refuses to work.
		this.fetch = fetch ?? ((url, init) => globalThis.fetch(url, init));
		this.defaults = defaults;
	}

	/** The answer's JSON; undefined where it has none. */
	json<T>(call: Call): Promise<T> {
		return this.#limited(call, async (response) => {
			const text = await response.text();
			try {
				return text ? JSON.parse(text) : undefined;
			} catch {
				throw new ForeignAnswerError(this.baseURL);
			}
		});
	}

	/** The answer as soon as it begins. `call.signal` ends its body too; time limits do not. */
	open(call: Call): Promise<Answer> {
		return this.#limited(call, async (response) => response);
	}

	async #limited<T>(
		call: Call,
		read: (response: Answer) => Promise<T>,
	): Promise<T> {
		const { retryFor = 60_000, ...rest } = {
			...this.defaults,
			...defined(call),
		};
		const total = limit(rest.signal, rest.totalTimeout);
		const started = Date.now();
		try {
			for (let failures = 0; ; failures++) {
				try {
					return await this.#try({ ...rest, signal: total.signal }, read);
				} catch (error) {
					total.signal.throwIfAborted();
					const wait = waitAfter(error as Error, failures, call.once);
					const last = wait === null || Date.now() - started + wait > retryFor;
					if (error instanceof ConnectionError && (last || failures > 0)) {
						const found = await call.lost?.(error, total.signal);
						if (found) throw found;
					}
					if (last) throw error;
					await sleep(wait, total.signal);
				}
			}
		} finally {
			total.end();
		}
	}

	async #try<T>(
		call: Call,
		read: (response: Answer) => Promise<T>,
	): Promise<T> {
		const foreign = /^https?:/.test(call.path);
		if (!foreign && !call.open && !this.#apiKey)
			throw new MiniGPT4Error(
				"missing_key",
				"There is no API key. Pass `apiKey`, or set MINIGPT4_API_KEY.",
			);
		const headers: Record<string, string> = {
			...(!foreign &&
				this.#apiKey && { Authorization: `Bearer ${this.#apiKey}` }),
			...(call.json !== undefined && { "Content-Type": "application/json" }),
			...(defined(call.headers ?? {}) as Record<string, string>),
		};
		const query = new URLSearchParams();
		for (const [name, value] of Object.entries(call.query ?? {}))
			if (value !== undefined) query.set(name, String(value));
		const body =
			call.json === undefined ? call.body?.() : JSON.stringify(call.json);
		const url =
			(foreign ? "" : this.baseURL) +
			call.path +
			(query.size ? `?${query}` : "");

		const { signal, end } = limit(call.signal, call.timeout ?? 60_000);
		try {
			const response = await this.fetch(url, {
				method: call.method ?? "GET",
				headers,
				signal,
				...(body !== undefined && { body }),
				...(isStream(body) && { duplex: "half" as const }),
			});
			if (!response.ok) throw await errorOf(response);
			return await read(response);
		} catch (error) {
			signal.throwIfAborted();
			if (error instanceof MiniGPT4Error) throw error;
			throw new ConnectionError(new URL(url).origin, error);
		} finally {
			end();
		}
	}
}

/** Milliseconds to wait before the next try after a failure; null where there should be none. */
function waitAfter(
	error: Error,
	failures: number,
	once: boolean | undefined,
): number | null {
	const wait = backoff(failures);
	if (error instanceof APIError) {
		const { status, retryAfter = 0 } = error;
		// With these two nothing was done.
		const refused = status === 429 || status === 503;
		if (!refused && (once || (status !== 408 && status < 500))) return null;
		// Never sooner than asked.
		return retryAfter * 1000 + wait;
	}
	const lost =
		error instanceof ConnectionError || error instanceof TimeoutError;
	return lost && (!once || neverSent(error)) ? wait : null;
}

/** Node tells where nobody listened. */
const neverSent = ({ cause }: Error): boolean =>
	((cause as Error | undefined)?.cause as { code?: string } | undefined)
		?.code === "ECONNREFUSED";

const isStream = (body: unknown): boolean =>
	typeof (body as { getReader?: unknown } | undefined)?.getReader ===
	"function";

const defined = <T extends object>(object: T): T =>
	Object.fromEntries(
		Object.entries(object).filter(([, value]) => value !== undefined),
	) as T;

/** The caller's part of a call. @internal */
export const optionsOf = ({
	signal,
	timeout,
	totalTimeout,
	retryFor,
}: CallOptions = {}): CallOptions => ({
	signal,
	timeout,
	totalTimeout,
	retryFor,
});
