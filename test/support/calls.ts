/** Calls to the jobs API over HTTP. */
import { expect } from "vitest";
import { PICTURE_TEXT_BYTES } from "../../src/pricing/bound.ts";
import type { TestAccount } from "./account.ts";
import { edge } from "./edge.ts";
import { eventually } from "./eventually.ts";
import { oneEach } from "./prices.ts";

/** A red image, 8 x 8. */
export const PNG =
	"data:image/png;base64," +
	"iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mM4" +
	"ISeHFTEMLQkAkL9BAc9woTwAAAAASUVORK5CYII=";

/** The body of a request for a job. */
export const JOB_REQUEST = {
	images: [{ url: PNG }],
	prompt: "What is this?",
	temperature: 0,
};

/** What that costs at one micro-USD each, where the answer has so many tokens. */
export const priceOf = (outputTokens: number): number =>
	oneEach({ prompt_tokens: 20, output_tokens: outputTokens, images: 1 }).price;

/**
 * What is held for it: template, image with what may be read in it, and text at their longest, the
 * image, 300 tokens.
 */
export const HOLD = 4 + 5 + (8 + 1 + PICTURE_TEXT_BYTES) + 13 + 1 + 300;

// biome-ignore lint/suspicious/noExplicitAny: the wire is what these tests look at
export type Wire = any;

export const call = (
	account: { key: string } | null,
	path: string,
	init: { method?: string; body?: unknown; headers?: HeadersInit } = {},
): Promise<Response> => {
	const headers = new Headers(init.headers);
	if (account) headers.set("Authorization", `Bearer ${account.key}`);
	const body = init.body === undefined ? null : JSON.stringify(init.body);
	if (body) headers.set("Content-Type", "application/json");
	return edge.fetch(`http://edge.test/v1/jobs${path}`, {
		method: init.method ?? (body ? "POST" : "GET"),
		headers,
		body,
	});
};

export const create = (account: TestAccount, more: object = {}, headers = {}) =>
	call(account, "", { body: { ...JOB_REQUEST, ...more }, headers });

/** Uploads the same image. @returns its id */
export async function uploaded(account: TestAccount): Promise<string> {
	const [, photo] = PNG.split(",") as [string, string];
	const response = await edge.fetch("http://edge.test/v1/uploads", {
		method: "POST",
		headers: {
			Authorization: `Bearer ${account.key}`,
			"Content-Type": "image/png",
		},
		body: Uint8Array.fromBase64(photo),
	});
	return (await response.json<Wire>()).id;
}

/** The job, once it has ended. */
export const ended = (account: TestAccount, id: string): Promise<Wire> =>
	eventually(async () => {
		const job: Wire = await (await call(account, `/${id}`)).json();
		expect(job.finished_at).not.toBe(null);
		return job;
	});

/** The status, code and field of an error response. */
export async function refusal(
	response: Response,
): Promise<[number, string, string?]> {
	const { code, field } = await response.json<Wire>();
	return field === undefined
		? [response.status, code]
		: [response.status, code, field];
}
