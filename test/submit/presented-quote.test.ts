/** Which changes of a request make it another job than the one that was quoted. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MODELS } from "../../src/models.ts";
import { ChatRequest } from "../../src/schema/chat.ts";
import { JobRequest } from "../../src/schema/job.ts";
import { jobInputOfChat } from "../../src/submit/chat-request.ts";
import { jobHash } from "../../src/submit/presented-quote.ts";
import { jobInputOf } from "../../src/submit/request.ts";
import { PNG } from "../support/calls.ts";

const UPLOAD = "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T";
const PHOTO = Uint8Array.fromBase64(PNG.split(",")[1] as string);
const noHeaders = { header: () => undefined };
/** The account's uploads are all of the same photo. */
const uploads = async (ids: string[]) => {
	const digest = await crypto.subtle.digest("SHA-256", PHOTO);
	const sha256 = new Uint8Array(digest).toHex();
	return ids.map((upload) => ({ upload, sha256, url: null }));
};
const hashOf = async (body: object) => {
	const request = JobRequest.parse(body);
	const named = request.images.flatMap((image) =>
		"upload" in image ? [image.upload] : [],
	);
	const input = jobInputOf(request, body, noHeaders);
	return jobHash(input, MODELS.nano, await uploads(named));
};

const BODY = {
	images: [{ url: PNG }, { url: "https://example.com/a.jpg" }],
	prompt: "What is in this picture?",
	max_tokens: 60,
	temperature: 0.5,
	top_p: 0.9,
	repetition_penalty: 1.1,
	seed: 7,
	stop: ["END"],
	metadata: { order: "117" },
	expires_in: 7_200,
	webhook: { url: "https://hooks.example.org/a" },
};

const CHANGES: [string, object][] = [
	["a byte of its text", { prompt: "What is in this picture!" }],
	["another task", { prompt: undefined, task: "poem" }],
	["an image less", { images: [{ url: PNG }] }],
	["the other order of its images", { images: [...BODY.images].reverse() }],
	[
		"a byte of an address",
		{ images: [{ url: PNG }, { url: "https://example.com/b.jpg" }] },
	],
	[
		"a byte of a photo",
		{
			images: [
				{ url: `data:image/png;base64,${changedPhoto()}` },
				BODY.images[1],
			],
		},
	],
	["more tokens", { max_tokens: 61 }],
	["another temperature", { temperature: 0.6 }],
	["another top_p", { top_p: 0.8 }],
	["another penalty", { repetition_penalty: 1.2 }],
	["another seed", { seed: 8 }],
	["no seed", { seed: undefined }],
	["another stop", { stop: ["end"] }],
	["other metadata", { metadata: { order: "118" } }],
	["another time to live", { expires_in: 7_201 }],
	["another webhook", { webhook: { url: "https://hooks.example.org/b" } }],
	["a job to go on from", { previous_job: "01JD8Z6Q3V9Y4K2M7N5P8R1S3T" }],
];

function changedPhoto(): string {
	const bytes = PHOTO.slice();
	bytes[bytes.length - 20] = 0;
	return bytes.toBase64();
}

describe("a request is another than the one quoted with", () => {
	it.each(CHANGES)("%s", async (_, change) => {
		expect(await hashOf({ ...BODY, ...change })).not.toBe(await hashOf(BODY));
	});

	it("any changed byte of its text", async () => {
		const texts = fc.string({ minLength: 1, unit: "grapheme" });
		await fc.assert(
			fc.asyncProperty(texts, texts, async (one, other) => {
				fc.pre(one !== other);
				const body = { prompt: one };
				expect(await hashOf({ prompt: other })).not.toBe(await hashOf(body));
			}),
		);
	});
});

describe("a request is the one quoted", () => {
	it.each([
		["however its members are ordered", Object.entries(BODY).reverse()],
		[
			"with its defaults said",
			[...Object.entries(BODY), ["metadata", BODY.metadata]],
		],
		[
			"with members that say nothing",
			[...Object.entries(BODY), ["task", null]],
		],
		["with a cap", [...Object.entries(BODY), ["max_price", 5]]],
		["with the quote", [...Object.entries(BODY), ["quote", "q1.a.b"]]],
		["without readers", [...Object.entries(BODY), ["on_disconnect", "cancel"]]],
	] as [string, [string, unknown][]][])("%s", async (_, members) => {
		expect(await hashOf(Object.fromEntries(members))).toBe(await hashOf(BODY));
	});

	it("by whatever way its photo comes", async () => {
		const asked = { prompt: "What is it?" };
		const inline = await hashOf({ ...asked, images: [{ url: PNG }] });
		expect(await hashOf({ ...asked, images: [{ upload: UPLOAD }] })).toBe(
			inline,
		);
	});

	it("as a completion with the same messages and length", async () => {
		const text = "What is in this picture?";
		const job = await hashOf({
			model: "nano",
			images: [{ upload: UPLOAD }],
			messages: [
				{ role: "user", content: [{ type: "image" }, { type: "text", text }] },
			],
			max_tokens: 60,
		});
		const body = {
			model: "nano",
			messages: [
				{
					role: "user",
					content: [
						{ type: "image_url", image_url: { url: UPLOAD } },
						{ type: "text", text },
					],
				},
			],
			max_completion_tokens: 60,
			stream: true,
		};
		const input = jobInputOfChat(ChatRequest.parse(body), body, noHeaders);
		expect(await jobHash(input, MODELS.nano, await uploads([UPLOAD]))).toBe(
			job,
		);
	});
});
