/**
 * A worker that implements docs/worker-protocol.md and plays a script: the same request gets the
 * same bytes, and each fault comes where the script has it. It maps a Request to a Response, so
 * that it runs in place of `fetch` in workerd, and behind a server in Node.
 * test/backends/fake-worker.test.ts checks it against test/fixtures/worker-protocol.
 */
import type { Fault } from "./fake-worker-faults.ts";
import {
	CONTEXT,
	checkImages,
	FIRST_ID,
	failure,
	IMAGE_TOKENS,
	parse,
	promptIdsOf,
	promptTokens,
	type Recorded,
	Refusal,
	STATUS,
	textOfIds,
} from "./fake-worker-protocol.ts";

export type { Fault } from "./fake-worker-faults.ts";
export { FIRST_ID, type Recorded } from "./fake-worker-protocol.ts";

export interface Script {
	/**
	 * The answer. Each entry is a token with the id `FIRST_ID` + its index. An empty token is a part
	 * of a character that the next one completes.
	 */
	tokens: string[];
	/** Milliseconds between tokens. */
	every?: number;
	/** Tokens per event. */
	group?: number;
	/** The worker awaits this before the n-th token (from 0) of an attempt (from 1). */
	gate?: (n: number, attempt: number) => Promise<void> | undefined;
	/** The fault of each attempt. */
	faults?: Record<number, Fault>;
}

/** A request with the script and the fault that the worker plays for it. */
interface Run {
	body: Recorded;
	promptIds: number[];
	script: Script;
	attempt: number;
	fault: Fault | undefined;
}

export class FakeWorker {
	state: "ready" | "starting" | "draining" | "away" = "ready";
	model = "nano";
	slots = 4;
	digest = "d".repeat(64);
	key = "worker-key";
	/** Hosts that image URLs may name. */
	allowed = ["s3.test"];
	/** Whether an image can be fetched from its URL. */
	look: (url: string) => Promise<boolean> = async () => true;
	/** Bytes per chunk of the stream; a small number cuts lines and characters. */
	chunk = Number.POSITIVE_INFINITY;
	pingEvery = 5_000;
	/** The script for a prompt's text. */
	script: (prompt: string) => Script;
	/** The bodies of `/v1/generate`, in order of arrival. */
	readonly requests: Recorded[] = [];
	probes = 0;
	/** Generations in progress. */
	running = 0;
	/** The most generations that ran at once. */
	peak = 0;

	constructor(script: Script | ((prompt: string) => Script)) {
		this.script = typeof script === "function" ? script : () => script;
	}

	/** @throws TypeError as `fetch` does where the connection is refused */
	async fetch(request: Request): Promise<Response> {
		if (this.state === "away") throw new TypeError("connection refused");
		const { pathname } = new URL(request.url);
		const route = `${request.method} ${pathname}`;
		if (route === "GET /healthz") return Response.json({ status: "alive" });
		if (route === "GET /readyz") return this.#readiness();
		try {
			if (request.headers.get("Authorization") !== `Bearer ${this.key}`)
				throw new Refusal("unauthorized");
			if (route === "POST /v1/count")
				return this.#count(JSON.parse(await request.text()));
			if (route !== "POST /v1/generate") throw new Refusal("not_found");
			if (this.state !== "ready") throw new Refusal(this.state);
			return await this.#generate(await request.text(), request.signal);
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
			reader: false,
		});
	}

	#count(body: Partial<Recorded>): Response {
		const prompt_tokens = promptTokens(promptIdsOf(body));
		return Response.json({ prompt_tokens, context_length: CONTEXT });
	}

	async #generate(text: string, signal: AbortSignal): Promise<Response> {
		const body = parse(text, this.model);
		checkImages(body, this.allowed);
		this.requests.push(body);
		const promptIds = promptIdsOf(body);
		const script = this.script(textOfIds(promptIds));
		const attempt = Number(/-(\d+)$/.exec(body.request_id ?? "")?.[1] ?? 1);
		const fault = script.faults?.[attempt];
		if (fault && "page" in fault)
			return new Response("<html>Hello", { status: fault.page });
		if (fault && "mute" in fault) await aborted(signal);
		if (fault && "error" in fault && fault.after === undefined)
			throw new Refusal(fault.error, fault.field);
		if (fault && "break" in fault && fault.after === undefined)
			throw new TypeError("connection refused");
		const committed = body.committed_token_ids ?? [];
		const foreign = committed.findIndex((id, n) => id !== FIRST_ID + n);
		if (foreign >= 0)
			throw new Refusal("invalid_request", `committed_token_ids[${foreign}]`);
		const left = CONTEXT - promptTokens(promptIds) - committed.length;
		if (left < 1) throw new Refusal("context_length_exceeded");
		for (const [n, { url }] of body.images.entries())
			if (url !== undefined && !(await this.look(url)))
				throw new Refusal("image_unavailable", `images[${n}]`);
		return this.#stream({ body, promptIds, script, attempt, fault }, signal);
	}

	#stream(run: Run, signal: AbortSignal): Response {
		const wire = new Wire(this.chunk, run.fault);
		const lost = () => wire.lost(signal.reason);
		if (signal.aborted) lost();
		signal.addEventListener("abort", lost);
		this.running++;
		this.peak = Math.max(this.peak, this.running);
		const ping = setInterval(() => wire.send(": ping\n"), this.pingEvery);
		void answer(wire, run)
			.catch(lost)
			.finally(() => {
				clearInterval(ping);
				this.running--;
			});
		return new Response(wire.stream, {
			headers: { "Content-Type": "text/event-stream" },
		});
	}
}

async function answer(
	wire: Wire,
	{ body, promptIds, script, attempt, fault = {} as Fault }: Run,
): Promise<void> {
	const { tokens, group = 1 } = script;
	const from = body.committed_token_ids?.length ?? 0;
	const most = body.max_tokens + ("excess" in fault ? fault.excess : 0);
	const end = Math.min(tokens.length, from + most);
	const every = (script.every ?? 0) + ("slow" in fault ? fault.slow : 0);
	const at = from + (("after" in fault && fault.after) || 0);
	const prompt_tokens = promptTokens(promptIds);
	wire.event("prompt", { prompt_token_ids: promptIds, prompt_tokens });
	for (let n = from; n < end && wire.open; n += group) {
		const here = n >= at && n < at + group;
		if (here && "error" in fault) {
			wire.event("error", failure(fault.error, fault.field));
			return wire.close();
		}
		if (here && "break" in fault) return wire.break();
		if (here && "silent" in fault) {
			if (!fault.pings) wire.hush();
			return wire.ended;
		}
		await Promise.race([wire.ended, script.gate?.(n, attempt)]);
		if (every) await Promise.race([wire.ended, sleep(every)]);
		if (!wire.open) return;
		const last = Math.min(n + group, end);
		const text = tokens.slice(n, last).join("");
		if (here && "ids" in fault) {
			const first = fault.ids === "foreign" ? 7_000 : -7_000;
			wire.event("token", {
				index: n,
				token_ids: range(first + n, last - n),
				text,
			});
			return wire.break();
		}
		// Sent together with the next event, so that no ping comes in between.
		if (here && "garbage" in fault) wire.send(fault.garbage);
		const event = {
			index: n,
			token_ids: range(FIRST_ID + n, last - n),
			text,
		};
		if (!(here && "lost" in fault)) wire.event("token", event);
		if (here && "twice" in fault) wire.event("token", event);
	}
	const sent = Math.max(0, end - from);
	if (!("unfinished" in fault))
		wire.event("done", {
			finish_reason: end < tokens.length ? "length" : "stop",
			prompt_tokens,
			output_tokens: sent + ("miscount" in fault ? fault.miscount : 0),
		});
	wire.close();
}

/**
 * Writes one stream in chunks, up to where a fault cuts it. Writes are ignored once it has ended.
 */
class Wire {
	readonly #chunk: number;
	readonly #fault: Fault | undefined;
	#controller?: ReadableStreamDefaultController<Uint8Array>;
	#sent = 0;
	#hushed = false;
	open = true;
	readonly stream: ReadableStream<Uint8Array>;
	readonly ended: Promise<void>;
	#end: () => void = () => {};
	#drained: () => void = () => {};

	constructor(chunk: number, fault: Fault | undefined) {
		this.#chunk = chunk;
		this.#fault = fault;
		this.ended = new Promise((resolve) => {
			this.#end = resolve;
		});
		this.stream = new ReadableStream<Uint8Array>({
			start: (controller) => {
				this.#controller = controller;
			},
			pull: () => this.#drained(),
			cancel: () => this.#gone(),
		});
	}

	/** Sends no more bytes and keeps the connection open. */
	hush(): void {
		this.#hushed = true;
	}

	event(name: string, data: object): void {
		this.send(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
	}

	send(what: string | Uint8Array): void {
		if (this.#hushed) return;
		const bytes = typeof what === "string" ? utf8.encode(what) : what;
		const fits = Math.min(bytes.length, this.#room(bytes));
		for (let at = 0; this.open && at < fits; at += this.#chunk)
			this.#controller?.enqueue(
				bytes.slice(at, Math.min(fits, at + this.#chunk)),
			);
		this.#sent += fits;
		const fault = this.#fault;
		if (fits === bytes.length || !fault || !("cut" in fault)) return;
		if (fault.how === "end") this.close();
		else this.break();
	}

	/** How many of these bytes come before the cut. */
	#room(bytes: Uint8Array): number {
		const fault = this.#fault;
		if (!fault || !("cut" in fault)) return bytes.length;
		if (fault.cut !== "character") return fault.cut - this.#sent;
		const lead = bytes.findIndex((byte) => byte >= 0xc2);
		return lead < 0 ? bytes.length : lead + 1;
	}

	close(): void {
		if (this.open) this.#controller?.close();
		this.#gone();
	}

	/**
	 * Breaks the connection after the bytes sent so far: an error drops those that are still queued.
	 */
	break(): void {
		const controller = this.#controller;
		const now = () => controller?.error(new Error("reset"));
		if (this.open && (controller?.desiredSize ?? 0) > 0) now();
		else if (this.open) this.#drained = now;
		this.#gone();
	}

	/** The reader hung up. */
	lost(reason: unknown): void {
		if (this.open) this.#controller?.error(reason);
		this.#gone();
	}

	#gone(): void {
		this.open = false;
		this.#end();
	}
}

const utf8 = new TextEncoder();

const range = (from: number, count: number): number[] =>
	Array.from({ length: count }, (_, n) => from + n);

const sleep = (ms: number) =>
	new Promise<void>((resolve) => setTimeout(resolve, ms));

/** @throws what the signal aborts with */
const aborted = (signal: AbortSignal): Promise<never> =>
	new Promise((_, reject) => {
		const lost = () => reject(signal.reason);
		if (signal.aborted) lost();
		signal.addEventListener("abort", lost);
	});
