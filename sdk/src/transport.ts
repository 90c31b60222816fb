/** Makes one call over HTTP: headers, time limits, and retries where they help and do no harm. */
import {
	APIError,
	ConnectionError,
	errorOf,
	ForeignAnswerError,
	MiniGPT4Error,
	TimeoutError,
} from "./errors.ts";
import type { Fetch, ResponseLike, SignalLike } from "./platform.ts";
import { backoff, sleep, timeLimit } from "./timing.ts";

/** Every method takes these. Times are in milliseconds. */
export interface CallOptions {
	/** Aborts the call, its waits and its retries: the call rejects with the signal's reason. */
	signal?: SignalLike | undefined;
	/** Limits each try. Defaults to 60,000. */
	timeout?: number | undefined;
	/** Limits the whole call: tries, waits and, if it streams, the stream. Defaults to none. */
	totalTimeout?: number | undefined;
	/**
	 * How long to retry while the API is unreachable, overloaded or failing. Defaults to 60,000;
	 * 0 disables retries.
	 */
	retryFor?: number | undefined;
}

/** @internal */
export interface Call extends CallOptions {
	method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | undefined;
	/** A path below the base URL, or the whole URL of another server, which does not get the key. */
	path: string;
	query?: Record<string, string | number | undefined> | undefined;
	headers?: Record<string, string | undefined> | undefined;
	/** The body, sent as JSON. */
	json?: unknown;
	/** Makes the body anew for each try. It is sent as it is. */
	body?: (() => unknown) | undefined;
	/**
	 * Defaults to true. If false, the call is retried only when the API certainly did nothing,
	 * because to do it twice is not the same as to do it once.
	 */
	idempotent?: boolean | undefined;
	/** The call needs no API key. */
	anonymous?: boolean | undefined;
	/**
	 * Examines a connection that was lost twice, or once without a retry. If it returns an error, the
	 * call throws that error and stops.
	 */
	diagnose?:
		| ((error: ConnectionError, signal: AbortSignal) => Promise<Error | null>)
		| undefined;
}

/** @internal */
export interface TransportOptions extends CallOptions {
	baseURL: string;
	apiKey: string | undefined;
	/** Defaults to the platform's own `fetch`. */
	fetch?: Fetch | undefined;
}

/** @internal */
export class Transport {
	readonly baseURL: string;
	readonly defaults: CallOptions;
	readonly #apiKey: string | undefined;
	readonly fetch: Fetch;
	/** Whether `fetch` is the platform's own. */
	readonly usesPlatformFetch: boolean;

	constructor({ baseURL, apiKey, fetch, ...defaults }: TransportOptions) {
		this.baseURL = baseURL.replace(/\/+$/, "");
		this.#apiKey = apiKey;
		this.usesPlatformFetch = !fetch;
		// Browsers refuse a `fetch` that is called as a method of another object.
		this.fetch = fetch ?? ((url, init) => globalThis.fetch(url, init));
		this.defaults = defaults;
	}

	/** Returns the response's JSON; undefined if its body is empty. */
	json<T>(call: Call): Promise<T> {
		return this.#withRetries(call, async (response) => {
			const text = await response.text();
			try {
				return text ? JSON.parse(text) : undefined;
			} catch {
				throw new ForeignAnswerError(this.baseURL);
			}
		});
	}

	/**
	 * Returns the response as soon as its headers arrive. `call.signal` aborts the body too; the time
	 * limits do not.
	 */
	open(call: Call): Promise<ResponseLike> {
		return this.#withRetries(call, async (response) => response);
	}

	async #withRetries<T>(
		call: Call,
		read: (response: ResponseLike) => Promise<T>,
	): Promise<T> {
		const { retryFor = 60_000, ...rest } = {
			...this.defaults,
			...withoutUndefined(call),
		};
		const { signal, clear } = timeLimit(rest.signal, rest.totalTimeout);
		const started = Date.now();
		try {
			for (let failures = 0; ; failures++) {
				try {
					return await this.#try({ ...rest, signal }, read);
				} catch (error) {
					signal.throwIfAborted();
					const { idempotent } = call;
					const wait = waitAfter(error as Error, failures, idempotent);
					const isLast =
						wait === null || Date.now() - started + wait > retryFor;
					if (error instanceof ConnectionError && (isLast || failures > 0)) {
						const found = await call.diagnose?.(error, signal);
						if (found) throw found;
					}
					if (isLast) throw error;
					await sleep(wait, signal);
				}
			}
		} finally {
			clear();
		}
	}

	async #try<T>(
		call: Call,
		read: (response: ResponseLike) => Promise<T>,
	): Promise<T> {
		const isExternal = /^https?:/.test(call.path);
		if (!isExternal && !call.anonymous && !this.#apiKey)
			throw new MiniGPT4Error(
				"missing_key",
				"There is no API key. Pass `apiKey`, or set MINIGPT4_API_KEY.",
			);
		const headers: Record<string, string> = {
			...(!isExternal &&
				this.#apiKey && { Authorization: `Bearer ${this.#apiKey}` }),
			...(call.json !== undefined && { "Content-Type": "application/json" }),
			...(withoutUndefined(call.headers ?? {}) as Record<string, string>),
		};
		const query = new URLSearchParams();
		for (const [name, value] of Object.entries(call.query ?? {}))
			if (value !== undefined) query.set(name, String(value));
		const body =
			call.json === undefined ? call.body?.() : JSON.stringify(call.json);
		const url =
			(isExternal ? "" : this.baseURL) +
			call.path +
			(query.size ? `?${query}` : "");

		const { signal, clear } = timeLimit(call.signal, call.timeout ?? 60_000);
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
			clear();
		}
	}
}

/** Returns the milliseconds to wait before a retry; null if a retry is useless or harmful. */
function waitAfter(
	error: Error,
	failures: number,
	idempotent = true,
): number | null {
	const wait = backoff(failures);
	if (error instanceof APIError) {
		const { status, retryAfter = 0 } = error;
		// The API did nothing if it answered one of these.
		const refused = status === 429 || status === 503;
		const mayPass = idempotent && (status === 408 || status >= 500);
		if (!refused && !mayPass) return null;
		// Never sooner than the API asks.
		return retryAfter * 1000 + wait;
	}
	const lost =
		error instanceof ConnectionError || error instanceof TimeoutError;
	return lost && (idempotent || neverSent(error)) ? wait : null;
}

/** Node reports a refused connection in the cause of `fetch`'s error. */
const neverSent = ({ cause }: Error): boolean =>
	((cause as Error | undefined)?.cause as { code?: string } | undefined)
		?.code === "ECONNREFUSED";

const isStream = (body: unknown): boolean =>
	typeof (body as { getReader?: unknown } | undefined)?.getReader ===
	"function";

const withoutUndefined = <T extends object>(object: T): T =>
	Object.fromEntries(
		Object.entries(object).filter(([, value]) => value !== undefined),
	) as T;

/** Picks the call options out of a method's options. @internal */
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
