/**
 * Reads request bodies within a limit; each kind of error has its own code. Hono's `bodyLimit` had
 * two bypasses (CVE-2025-59139, GHSA-9vqf-7f2p-gf9v), so the API counts the bytes itself.
 */
import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { sha256 } from "../crypto.ts";
import { ApiError } from "../errors.ts";
import { readAtMost } from "../read-at-most.ts";
import { fieldPath } from "../schema/field.ts";
import type { App } from "./router.ts";

/**
 * The whole body in memory. Stops reading as soon as it is over the limit, whatever Content-Length
 * claims.
 * @param limit bytes
 * @throws ApiError `unsupported_encoding`, `body_incomplete`, `body_required`, `body_too_large`
 */
export async function readBody(
	request: Request,
	limit: number,
): Promise<Uint8Array<ArrayBuffer>> {
	const encoding = request.headers.get("Content-Encoding")?.trim();
	if (encoding && encoding.toLowerCase() !== "identity")
		throw new ApiError({ code: "unsupported_encoding", encoding });
	const whole = await readAtMost(request, limit).catch(() => {
		// Only the caller's side of the connection can break here.
		throw new ApiError({ code: "body_incomplete" });
	});
	if (!whole) throw new ApiError({ code: "body_too_large", limit });
	if (whole.length === 0) throw new ApiError({ code: "body_required" });
	return whole;
}

/**
 * The value of a JSON body.
 * @param limit bytes
 * @throws ApiError `unsupported_media_type`, `invalid_json`, `invalid_request`, and what `readBody`
 * throws
 */
export async function readJson(
	c: Context<App>,
	limit: number,
): Promise<unknown> {
	if (!isEmpty(c) && mediaTypeOf(c) !== "application/json")
		throw new ApiError({
			code: "unsupported_media_type",
			expected: "application/json",
		});
	const bytes = await readBody(c.req.raw, limit);
	const value = parse(bytes);
	c.set("bodySha256", await sha256(bytes));
	return value;
}

export const isEmpty = (c: Context<App>): boolean =>
	c.req.raw.body === null || c.req.header("Content-Length") === "0";

/** The media type of `Content-Type`, in lower case; empty without one. */
export const mediaTypeOf = (c: Context<App>): string =>
	c.req.header("Content-Type")?.split(";")[0]?.trim().toLowerCase() ?? "";

/**
 * Middleware before a route's JSON validator, which alone would skip a body without Content-Type
 * and know no limit.
 * @param limit bytes
 * @throws ApiError as `readJson`
 */
export const body = ({ limit }: { limit: number }) =>
	createMiddleware<App>(async (c, next) => {
		const value = await readJson(c, limit);
		// The validator reads this instead of parsing a second time.
		c.req.json = async <T>() => value as T;
		await next();
	});

/** Limit for bodies that hold no images. */
export const SMALL_BODY = 64 * 1024;

function parse(bytes: Uint8Array): unknown {
	let value: unknown;
	let text: string;
	try {
		text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(
			bytes,
		);
		value = JSON.parse(text);
	} catch {
		throw new ApiError({ code: "invalid_json" });
	}
	// The name as it is, or with letters escaped.
	if (/__proto__|\\u00/.test(text)) refusePrototype(value);
	return value;
}

/** An object or array of the body, and where it is. */
interface PathStep {
	value: object;
	name: PropertyKey;
	in: PathStep | null;
}

/**
 * zod copies members into new objects, where `__proto__` would set the prototype, so the API
 * refuses this name.
 * @throws ApiError `invalid_request`
 */
function refusePrototype(body: unknown): void {
	const places: PathStep[] = [];
	const look = (value: unknown, name: PropertyKey, parent: PathStep | null) => {
		if (typeof value === "object" && value !== null)
			places.push({ value, name, in: parent });
	};
	look(body, "", null);
	for (let at = places.pop(); at; at = places.pop()) {
		if (Object.hasOwn(at.value, "__proto__")) {
			const field = fieldPath([...pathOf(at), "__proto__"]);
			throw new ApiError({
				code: "invalid_request",
				field,
				detail: `\`${field}\`: no member may have this name. Choose another.`,
			});
		}
		const members = Array.isArray(at.value)
			? at.value.entries()
			: Object.entries(at.value);
		for (const [name, member] of members) look(member, name, at);
	}
}

/** No schema is as deep, so a longer path is cut. */
const LONGEST_PATH = 16;

function pathOf(place: PathStep): PropertyKey[] {
	const path: PropertyKey[] = [];
	for (let at = place; at.in; at = at.in) path.push(at.name);
	return path.reverse().slice(0, LONGEST_PATH);
}
