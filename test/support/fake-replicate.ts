/**
 * Replicate's API as its public documentation describes it, answering from a script. What a
 * prediction has come to is a function of the time and of `allowed`, not of timers: it goes on, as
 * theirs do, when whoever began it is gone.
 */

export interface Script {
	/** The answer, one piece per token. */
	tokens: string[];
	/** Milliseconds between tokens. */
	every?: number;
	/** Milliseconds until it starts: an instance must come up first. */
	cold?: number;
	/** It fails after so many tokens, with this error. */
	fails?: { after: number; error: string };
	/** What goes wrong with its stream, after so many tokens. */
	stream?: { after: number; fault: "breaks" | "hangs" | "skips" | "lies" };
}

/** The next so many answers to such requests. */
export interface Refusal {
	to: "create" | "get" | "cancel" | "stream" | "describe";
	status: number;
	times: number;
	headers?: Record<string, string>;
	/** The request does what it should, and only then the answer is this. */
	done?: boolean;
}

interface Made {
	id: string;
	script: Script;
	input: Record<string, unknown>;
	webhook: string | null;
	filter: string[];
	cancelAfter: string | null;
	route: string;
	version: string;
	createdAt: number;
	/** Tokens it had when it was canceled. */
	canceled: number | null;
}

export const VERSION =
	"5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa";
const TICK_MS = 3;

export class FakeReplicate {
	token = "r8_test";
	/** Base64 behind `whsec_`. */
	secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
	/** The most tokens that any prediction has said so far. */
	allowed = Number.POSITIVE_INFINITY;
	away = false;
	readonly predictions: Made[] = [];
	/** Method and path of every request, in order. */
	readonly requests: string[] = [];
	readonly refusals: Refusal[] = [];
	/** Of the n-th prediction, from 1. */
	readonly #script: (n: number) => Script;

	constructor(script: Script | ((n: number) => Script)) {
		this.#script = typeof script === "function" ? script : () => script;
	}

	/** @throws TypeError as `fetch` does where nobody answers */
	async fetch(request: Request): Promise<Response> {
		if (this.away) throw new TypeError("connection refused");
		const { hostname, pathname } = new URL(request.url);
		this.requests.push(`${request.method} ${pathname}`);
		const route = `${request.method} ${hostname}${pathname}`;
		if (route.startsWith("GET stream."))
			return this.#answer("stream", () => this.#stream(route));
		if (request.headers.get("Authorization") !== `Bearer ${this.token}`)
			return Response.json(
				{ title: "Unauthenticated", status: 401 },
				{ status: 401 },
			);
		const [, id, cancel] =
			/\/v1\/predictions\/([^/]+)(\/cancel)?$/.exec(pathname) ?? [];
		if (request.method === "GET" && id)
			return this.#answer("get", () => this.#shown(id));
		if (cancel && id) return this.#answer("cancel", () => this.#cancel(id));
		if (request.method === "GET")
			return this.#answer("describe", () => describe(pathname));
		const body = await request.json<Record<string, unknown>>();
		return this.#answer("create", () => this.#create(pathname, body, request));
	}

	/** A webhook as it would be sent now. */
	async webhook(
		{ id }: { id: string },
		{ secret = this.secret, at = Date.now() } = {},
	): Promise<Request> {
		const made = this.#made(id);
		const body = JSON.stringify(this.#view(made));
		const stamp = String(Math.floor(at / 1000));
		const key = await crypto.subtle.importKey(
			"raw",
			Uint8Array.fromBase64(secret.slice("whsec_".length)),
			{ name: "HMAC", hash: "SHA-256" },
			false,
			["sign"],
		);
		const signed = new TextEncoder().encode(`msg_${id}.${stamp}.${body}`);
		const signature = new Uint8Array(
			await crypto.subtle.sign("HMAC", key, signed),
		).toBase64();
		return new Request(made.webhook ?? "", {
			method: "POST",
			body,
			headers: {
				"Content-Type": "application/json",
				"webhook-id": `msg_${id}`,
				"webhook-timestamp": stamp,
				"webhook-signature": `v1,AAAA v1,${signature}`,
			},
		});
	}

	/** What became of the n-th prediction, from 1. */
	statusOf(n: number): string {
		return this.#status(this.predictions[n - 1] as Made);
	}

	#answer(to: Refusal["to"], answer: () => Response): Response {
		const refusal = this.refusals.find(
			(each) => each.to === to && each.times > 0,
		);
		if (!refusal) return answer();
		refusal.times--;
		if (refusal.done) answer();
		const { status, headers = {} } = refusal;
		const detail = status === 429 ? "Request was throttled." : "Sorry.";
		return Response.json({ detail, status }, { status, headers });
	}

	#create(
		path: string,
		body: Record<string, unknown>,
		request: Request,
	): Response {
		const input = body.input as Record<string, unknown> | undefined;
		const version = path === "/v1/predictions" ? String(body.version) : VERSION;
		if (typeof input?.messages !== "string")
			return Response.json(
				{
					title: "Input validation failed",
					detail: "- input: messages is required\n",
					status: 422,
					invalid_fields: [{ type: "required", field: "input.messages" }],
				},
				{ status: 422 },
			);
		const made: Made = {
			id: `p${this.predictions.length + 1}${"x".repeat(24)}`,
			script: this.#script(this.predictions.length + 1),
			input,
			webhook: (body.webhook as string) ?? null,
			filter: (body.webhook_events_filter as string[]) ?? [],
			cancelAfter: request.headers.get("Cancel-After"),
			route: path,
			version,
			createdAt: Date.now(),
			canceled: null,
		};
		this.predictions.push(made);
		return Response.json(this.#view(made), { status: 201 });
	}

	#shown(id: string): Response {
		return Response.json(this.#view(this.#made(id)));
	}

	#cancel(id: string): Response {
		const made = this.#made(id);
		if (!ENDED.has(this.#status(made))) made.canceled = this.#said(made).length;
		return Response.json(this.#view(made));
	}

	#made(id: string): Made {
		const made = this.predictions.find((each) => each.id === id);
		if (!made) throw new Error(`no prediction ${id}`);
		return made;
	}

	#starting({ script, createdAt }: Made): boolean {
		return Date.now() < createdAt + (script.cold ?? 0);
	}

	#said(made: Made): string[] {
		const { script, input, createdAt, canceled } = made;
		if (canceled !== null) return script.tokens.slice(0, canceled);
		if (this.#starting(made)) return [];
		const since = Date.now() - createdAt - (script.cold ?? 0);
		const most = Math.min(
			Number(input.max_tokens),
			this.allowed,
			script.fails?.after ?? Number.POSITIVE_INFINITY,
			script.every
				? Math.floor(since / script.every)
				: Number.POSITIVE_INFINITY,
		);
		return script.tokens.slice(0, most);
	}

	#status(made: Made): string {
		const { script, input, canceled } = made;
		if (canceled !== null) return "canceled";
		if (this.#starting(made)) return "starting";
		const said = this.#said(made).length;
		if (script.fails && said >= script.fails.after) return "failed";
		const all = Math.min(script.tokens.length, Number(input.max_tokens));
		return said >= all ? "succeeded" : "processing";
	}

	#view(made: Made) {
		const status = this.#status(made);
		const output = this.#said(made);
		return {
			id: made.id,
			model: "acme/llama2-7b",
			version: made.version,
			input: made.input,
			logs: "",
			output: output.length > 0 ? output : null,
			data_removed: false,
			error: status === "failed" ? made.script.fails?.error : null,
			source: "api",
			status,
			created_at: new Date(made.createdAt).toISOString(),
			metrics: ENDED.has(status)
				? { predict_time: 0.1, input_token_count: 11 }
				: {},
			urls: {
				cancel: `http://replicate.test/v1/predictions/${made.id}/cancel`,
				get: `http://replicate.test/v1/predictions/${made.id}`,
				stream: `http://stream.replicate.test/v1/files/${made.id}`,
			},
		};
	}

	#stream(route: string): Response {
		const made = this.#made(route.slice(route.lastIndexOf("/") + 1));
		const { after = Number.POSITIVE_INFINITY, fault } =
			made.script.stream ?? {};
		const utf8 = new TextEncoder();
		let sent = 0;
		let tick: ReturnType<typeof setInterval>;
		const body = new ReadableStream<Uint8Array>({
			start: (controller) => {
				const send = (event: string, data: string) => {
					const lines = data.split("\n").map((line) => `data: ${line}\n`);
					const frame = `event: ${event}\nid: ${made.createdAt}:${sent}\n${lines.join("")}\n`;
					controller.enqueue(utf8.encode(frame));
				};
				const end = () => {
					clearInterval(tick);
					controller.close();
				};
				send("logs", "loading\nloaded");
				tick = setInterval(() => {
					const status = this.#status(made);
					for (const piece of this.#said(made).slice(sent)) {
						if (sent >= after && fault === "breaks") return end();
						if (sent >= after && fault === "hangs") return;
						const skipped = sent === after && fault === "skips";
						const said = sent === after && fault === "lies" ? "LIE" : piece;
						if (!skipped) send("output", said);
						sent++;
					}
					if (!ENDED.has(status)) return;
					if (status === "failed")
						send("error", JSON.stringify({ detail: made.script.fails?.error }));
					send("done", status === "succeeded" ? "{}" : '{"reason":"error"}');
					end();
				}, TICK_MS);
			},
			cancel: () => clearInterval(tick),
		});
		return new Response(body, {
			headers: { "Content-Type": "text/event-stream" },
		});
	}
}

const ENDED = new Set(["succeeded", "failed", "canceled", "aborted"]);

function describe(path: string): Response {
	if (path === "/v1/deployments/acme/llama2-7b")
		return Response.json({
			owner: "acme",
			name: "llama2-7b",
			current_release: {
				number: 1,
				model: "acme/llama2-7b",
				version: VERSION,
				configuration: {
					hardware: "gpu-t4",
					min_instances: 0,
					max_instances: 2,
				},
			},
		});
	if (path === `/v1/models/acme/llama2-7b/versions/${VERSION}`)
		return Response.json({ id: VERSION, cog_version: "0.16.0" });
	return Response.json({ detail: "Not found.", status: 404 }, { status: 404 });
}
