/**
 * docs/worker-protocol.md for the fake worker: its errors, its checks of a request, and a tokenizer
 * with one id per byte.
 */

/** The id of the first output token; the next ones count up. */
export const FIRST_ID = 2000;
const BYTE = 1000;
const IMAGE = 3;
export const CONTEXT = 2048;
export const IMAGE_TOKENS = 7;
const MAX_IMAGES = 4;

export const STATUS = {
	unauthorized: 401,
	invalid_request: 400,
	model_not_found: 404,
	not_found: 404,
	context_length_exceeded: 400,
	image_undecodable: 422,
	image_unavailable: 424,
	body_too_large: 413,
	overloaded: 429,
	draining: 503,
	starting: 503,
	engine_failed: 500,
} as const;

export type Code = keyof typeof STATUS;

export class Refusal extends Error {
	readonly code: Code;
	readonly field: string | undefined;
	constructor(code: Code, field?: string) {
		super(code);
		this.code = code;
		this.field = field;
	}
}

/** The parsed body of a request. */
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

const FIELDS = [
	"request_id",
	"model",
	"cache_salt",
	"messages",
	"prompt_token_ids",
	"images",
	"max_tokens",
	"temperature",
	"top_p",
	"repetition_penalty",
	"seed",
];

/** @throws Refusal */
export function parse(text: string, model: string): Recorded {
	let body: Recorded;
	try {
		body = JSON.parse(text);
	} catch {
		throw new Refusal("invalid_request");
	}
	const wrong = (field: string) => new Refusal("invalid_request", field);
	const within = (field: string, low: number, high: number) => {
		const value = body[field];
		if (value === undefined) return;
		if (typeof value !== "number" || !(value >= low && value <= high))
			throw wrong(field);
	};
	if (typeof body.model !== "string") throw wrong("model");
	const continues = body.prompt_token_ids !== undefined;
	if (continues && body.messages) throw wrong("prompt_token_ids");
	if (continues) {
		checkIds(body.prompt_token_ids, "prompt_token_ids");
		checkIds(body.committed_token_ids, "committed_token_ids");
	} else if (!body.messages?.length) throw wrong("messages");
	body.images ??= [];
	if (!Number.isSafeInteger(body.max_tokens)) throw wrong("max_tokens");
	within("max_tokens", 1, Number.MAX_SAFE_INTEGER);
	within("temperature", 0, 2);
	within("top_p", Number.MIN_VALUE, 1);
	within("repetition_penalty", 0.5, 2);
	within("seed", 0, Number.MAX_SAFE_INTEGER);
	const fields = continues ? [...FIELDS, "committed_token_ids"] : FIELDS;
	const unknown = Object.keys(body).find((field) => !fields.includes(field));
	if (unknown) throw wrong(unknown);
	if (body.model !== model) throw new Refusal("model_not_found");
	const imageParts = promptIdsOf(body).filter((id) => id === IMAGE).length;
	if (imageParts !== body.images.length || imageParts > MAX_IMAGES)
		throw wrong("images");
	return body;
}

function checkIds(ids: unknown, field: string): void {
	if (!Array.isArray(ids)) throw new Refusal("invalid_request", field);
	const wrong = ids.findIndex((id) => !Number.isSafeInteger(id) || id < 0);
	if (wrong >= 0) throw new Refusal("invalid_request", `${field}[${wrong}]`);
}

/**
 * @param allowed hosts that image URLs may name
 * @throws Refusal
 */
export function checkImages(body: Recorded, allowed: readonly string[]): void {
	body.images.forEach(({ url, data }, n) => {
		const field = `images[${n}]`;
		if (url !== undefined) {
			const { protocol, hostname } = new URL(url);
			if (!/^https?:$/.test(protocol) || !allowed.includes(hostname))
				throw new Refusal("image_unavailable", field);
		} else if (!/^(\/9j\/|iVBORw0KGgo|UklGR|R0lGOD)/.test(data ?? ""))
			throw new Refusal("image_undecodable", field);
	});
}

export const failure = (code: Code, field?: string) => ({
	code,
	message: `scripted: ${code}`,
	...(field && { field }),
	...(code === "context_length_exceeded" && {
		prompt_tokens: CONTEXT,
		context_length: CONTEXT,
	}),
});

/** One id per byte of text, one per image. */
export const promptIdsOf = (body: Partial<Recorded>): number[] =>
	body.prompt_token_ids ??
	(body.messages ?? []).flatMap(({ content }) =>
		typeof content === "string"
			? bytes(content)
			: (content as { type: string; text?: string }[]).flatMap((part) =>
					part.type === "image" ? [IMAGE] : bytes(part.text ?? ""),
				),
	);

export const promptTokens = (ids: number[]): number =>
	ids.reduce((n, id) => n + (id === IMAGE ? IMAGE_TOKENS : 1), 0);

/** The prompt's text, without its images. */
export const textOfIds = (ids: number[]): string =>
	new TextDecoder().decode(
		Uint8Array.from(ids.filter((id) => id >= BYTE).map((id) => id - BYTE)),
	);

const bytes = (text: string): number[] =>
	Array.from(new TextEncoder().encode(text), (byte) => BYTE + byte);
