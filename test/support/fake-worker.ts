/**
 * A worker that speaks docs/worker-protocol.md and answers from a script: the same request gets the same bytes, and each
 * fault comes where the script says. One function over Request and Response, so that it stands in for `fetch` inside
 * workerd and behind a server in Node. Held to test/fixtures/worker-protocol by test/backends/fake-worker.test.ts.
 */

export interface Script {
	/** The answer; each entry is one token, its id `FIRST_ID` + its index. */
	tokens: string[];
	/** Milliseconds between tokens. */
	every?: number;
	/** Tokens per event. */
	group?: number;
	/** Awaited before the n-th token (from 0) of an attempt (from 1). */
	gate?: (n: number, attempt: number) => Promise<void> | undefined;
	/** What goes wrong in which attempt. */
	faults?: Record<number, Fault>;
}

export type Fault =
	/** Instead of the stream; or, with `after`, as an `error` event after n tokens of this attempt. */
	| { error: keyof typeof STATUS; after?: number; field?: string }
	/** The connection breaks after n tokens; without `after` nobody answers at all. */
	| { break: true; after?: number }
	/** Neither byte nor end after n tokens. */
	| { silent: true; after: number };

export const FIRST_ID = 2000;
const BYTE = 1000;
const IMAGE = 3;
const CONTEXT = 2048;
const IMAGE_TOKENS = 7;

const STATUS = {
	unauthorized: 401,
	invalid_request: 400,
	model_not_found: 404,
	context_length_exceeded: 400,
	image_undecodable: 422,
	image_unavailable: 424,
	body_too_large: 413,
	overloaded: 429,
	draining: 503,
	starting: 503,
	engine_failed: 500,
} as const;

type Code = keyof typeof STATUS;

export interface Recorded {
	request_id: string;
	messages?: { role: string; content: unknown }[];
	prompt_token_ids?: number[];
	committed_token_ids?: number[];
	images: { id: string; url?: string; data?: string }[];
	max_tokens: number;
	temperature: number;
	seed: number;
	cache_salt: string;
	[field: string]: unknown;
}

const FIELDS = new Set([
	"request_id",
	"model",
	"cache_salt",
	"messages",
	"prompt_token_ids",
	"committed_token_ids",
	"images",
	"max_tokens",
	"temperature",
	"top_p",
	"repetition_penalty",
	"seed",
]);

const utf8 = new TextEncoder();

class Refusal extends Error {
	readonly code: Code;
	readonly field: string | undefined;
	constructor(code: Code, field?: string) {
		super(code);
		this.code = code;
		this.field = field;
	}
}

export class FakeWorker {
	state: "ready" | "starting" | "draining" | "away" = "ready";
	model = "nano";
	slots = 4;
	digest = "d".repeat(64);
	key = "worker-key";
	/** Hosts that image URLs may name. */
	allowed = ["s3.test"];
	/** Bytes per chunk of the stream: cuts lines and characters. */
	chunk = Number.POSITIVE_INFINITY;
	pingEvery = 5_000;
	/** The script for a prompt's text. */
	script: (prompt: string) => Script;
	/** Bodies of generate, in order of arrival. */
	readonly requests: Recorded[] = [];
	probes = 0;
	/** Generations under way. */
	running = 0;
	/** The most there ever were at once. */
	peak = 0;

	constructor(script: Script | ((prompt: string) => Script)) {
		this.script = typeof script === "function" ? script : () => script;
	}

	/** @throws TypeError as `fetch` does where nobody answers */
	async fetch(request: Request): Promise<Response> {
		if (this.state === "away") throw new TypeError("connection refused");
		const { pathname } = new URL(request.url);
		if (pathname === "/healthz") return Response.json({ status: "ok" });
		if (pathname === "/readyz") return this.#readiness();
		try {
			if (request.headers.get("Authorization") !== `Bearer ${this.key}`)
				throw new Refusal("unauthorized");
			if (pathname !== "/v1/generate")
				return new Response(null, { status: 404 });
			return this.#generate(await this.#read(request), request.signal);
		} catch (error) {
			if (!(error instanceof Refusal)) throw error;
			return Response.json(failure(error.code, error.field), {
				status: STATUS[error.code],
			});
		}
	}

	#readiness(): Response {
		this.probes++;
		if (this.state !== "ready")
			return Response.json({ status: this.state }, { status: 503 });
		return Response.json({
			status: "ready",
			model: this.model,
			digest: this.digest,
			slots: this.slots,
			context_length: CONTEXT,
			image_tokens: IMAGE_TOKENS,
			max_images: 4,
			max_bytes_per_token: 1,
		});
	}

	async #read(request: Request): Promise<Recorded> {
		let body: Recorded;
		try {
			body = JSON.parse(await request.text());
		} catch {
			throw new Refusal("invalid_request");
		}
		const unknown = Object.keys(body).find((field) => !FIELDS.has(field));
		if (unknown) throw new Refusal("invalid_request", unknown);
		if (typeof body.model !== "string")
			throw new Refusal("invalid_request", "model");
		if (body.model !== this.model) throw new Refusal("model_not_found");
		if (body.messages && body.prompt_token_ids)
			throw new Refusal("invalid_request", "prompt_token_ids");
		if (!(body.max_tokens >= 1))
			throw new Refusal("invalid_request", "max_tokens");
		if (!((body.temperature ?? 0) <= 2))
			throw new Refusal("invalid_request", "temperature");
		const prompt = body.prompt_token_ids ?? encode(body.messages ?? []);
		if (prompt.filter((id) => id === IMAGE).length !== body.images.length)
			throw new Refusal("invalid_request", "images");
		body.images.forEach((image, n) => {
			this.#look(image, n);
		});
		return body;
	}

	#look(image: { url?: string; data?: string }, n: number): void {
		const field = `images[${n}]`;
		if (image.url !== undefined) {
			const { protocol, hostname } = new URL(image.url);
			if (!/^https?:$/.test(protocol) || !this.allowed.includes(hostname))
				throw new Refusal("image_unavailable", field);
		} else if (!/^(\/9j\/|iVBORw0KGgo|UklGR|R0lGOD)/.test(image.data ?? ""))
			throw new Refusal("image_undecodable", field);
	}

	#generate(body: Recorded, signal: AbortSignal): Response {
		this.requests.push(body);
		const attempt = Number(/-(\d+)$/.exec(body.request_id ?? "")?.[1] ?? 1);
		const promptIds = body.prompt_token_ids ?? encode(body.messages ?? []);
		const script = this.script(decode(promptIds));
		const fault = script.faults?.[attempt];
		if (fault && "error" in fault && fault.after === undefined)
			throw new Refusal(fault.error, fault.field);
		if (fault && "break" in fault && fault.after === undefined)
			throw new TypeError("connection refused");
		const committed = body.committed_token_ids ?? [];
		if (committed.some((id, n) => id !== FIRST_ID + n))
			throw new Refusal("invalid_request", "committed_token_ids");
		const left = CONTEXT - promptTokens(promptIds) - committed.length;
		if (left < 1) throw new Refusal("context_length_exceeded");

		let wire: Wire;
		const stream = new ReadableStream<Uint8Array>({
			start: (controller) => {
				wire = new Wire(controller, this.chunk);
				const lost = () => wire.break(signal.reason);
				if (signal.aborted) lost();
				signal.addEventListener("abort", lost);
				this.running++;
				this.peak = Math.max(this.peak, this.running);
				const ping = setInterval(() => wire.send(": ping\n\n"), this.pingEvery);
				void this.#answer(wire, body, promptIds, script, attempt)
					.catch((error) => wire.break(error))
					.finally(() => {
						clearInterval(ping);
						this.running--;
					});
			},
			cancel: () => wire.gone(),
		});
		return new Response(stream, {
			headers: { "Content-Type": "text/event-stream" },
		});
	}

	async #answer(
		wire: Wire,
		body: Recorded,
		promptIds: number[],
		script: Script,
		attempt: number,
	): Promise<void> {
		const fault = script.faults?.[attempt];
		const from = body.committed_token_ids?.length ?? 0;
		const group = script.group ?? 1;
		const end = Math.min(script.tokens.length, from + body.max_tokens);
		const prompt_tokens = promptTokens(promptIds);
		wire.event("prompt", { prompt_token_ids: promptIds, prompt_tokens });
		for (let n = from; n < end && wire.open; n += group) {
			if (fault?.after !== undefined && n - from >= fault.after) {
				if ("error" in fault) {
					wire.event("error", failure(fault.error, fault.field));
					wire.close();
				} else if ("break" in fault) wire.break(new Error("reset"));
				else await wire.ended;
				return;
			}
			await Promise.race([wire.ended, script.gate?.(n, attempt)]);
			if (script.every) await Promise.race([wire.ended, sleep(script.every)]);
			if (!wire.open) return;
			const last = Math.min(n + group, end);
			wire.event("token", {
				token_ids: range(FIRST_ID + n, last - n),
				text: script.tokens.slice(n, last).join(""),
			});
		}
		wire.event("done", {
			finish_reason: end < script.tokens.length ? "length" : "stop",
			prompt_tokens,
			output_tokens: Math.max(0, end - from),
		});
		wire.close();
	}
}

/** One stream's bytes, in chunks of any size; silent once the reader is gone. */
class Wire {
	readonly #controller: ReadableStreamDefaultController<Uint8Array>;
	readonly #chunk: number;
	open = true;
	readonly ended: Promise<void>;
	#end: () => void = () => {};

	constructor(
		controller: ReadableStreamDefaultController<Uint8Array>,
		chunk: number,
	) {
		this.#controller = controller;
		this.#chunk = chunk;
		this.ended = new Promise((resolve) => {
			this.#end = resolve;
		});
	}

	event(name: string, data: object): void {
		this.send(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
	}

	send(text: string): void {
		const bytes = utf8.encode(text);
		for (let at = 0; this.open && at < bytes.length; at += this.#chunk)
			this.#controller.enqueue(bytes.slice(at, at + this.#chunk));
	}

	close(): void {
		if (this.open) this.#controller.close();
		this.gone();
	}

	break(reason: unknown): void {
		if (this.open) this.#controller.error(reason);
		this.gone();
	}

	gone(): void {
		this.open = false;
		this.#end();
	}
}

const failure = (code: Code, field?: string) => ({
	code,
	message: `scripted: ${code}`,
	...(field && { field }),
	...(code === "context_length_exceeded" && {
		prompt_tokens: CONTEXT,
		context_length: CONTEXT,
	}),
});

/** One id per byte of text, one per image. */
function encode(messages: { content: unknown }[]): number[] {
	return messages.flatMap(({ content }) =>
		typeof content === "string"
			? bytes(content)
			: (content as { type: string; text?: string }[]).flatMap((part) =>
					part.type === "image" ? [IMAGE] : bytes(part.text ?? ""),
				),
	);
}

const bytes = (text: string): number[] =>
	Array.from(utf8.encode(text), (byte) => BYTE + byte);

const decode = (ids: number[]): string =>
	new TextDecoder().decode(
		Uint8Array.from(ids.filter((id) => id >= BYTE).map((id) => id - BYTE)),
	);

const promptTokens = (ids: number[]): number =>
	ids.reduce((n, id) => n + (id === IMAGE ? IMAGE_TOKENS : 1), 0);

const range = (from: number, count: number): number[] =>
	Array.from({ length: count }, (_, n) => from + n);

const sleep = (ms: number) =>
	new Promise<void>((resolve) => setTimeout(resolve, ms));
