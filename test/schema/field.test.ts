import { beforeAll, describe, expect, it } from "vitest";
import { newAccount } from "../support/account.ts";
import { edge } from "../support/edge.ts";

let key: string;
beforeAll(async () => {
	({ key } = await newAccount());
});

/** The detail of a refused body, and the member that it names. */
async function refusal(path: string, body: object): Promise<string> {
	const answer = await edge.fetch(`http://edge.test/v1${path}`, {
		method: "POST",
		headers: {
			Authorization: `Bearer ${key}`,
			"Content-Type": "application/json",
		},
		body: JSON.stringify(body),
	});
	// biome-ignore lint/suspicious/noExplicitAny: the wire is what this test looks at
	const { error, field, detail, code } = await answer.json<any>();
	expect([answer.status, code ?? error.code]).toEqual([400, "invalid_request"]);
	const words: string = detail ?? error.message;
	expect(words).toContain(`\`${field ?? error.param}\``);
	return words;
}

const user = (content: unknown) => ({
	model: "nano",
	messages: [{ role: "user", content }],
});
const chat = (part: object) => ({ ...user("?"), ...part });
const answerWith = (part: object) => ({
	model: "nano",
	messages: [
		{ role: "user", content: "?" },
		{ role: "assistant", content: "!", ...part },
		{ role: "user", content: "?" },
	],
});
const tool = { type: "function", function: { name: "look" } };
const long = "x".repeat(65);
const OFF = "is not supported here: leave it out.";
const TOO_LONG = "Too big: expected string to have <=64 characters.";
const TEXT_OR_PARTS = "Invalid input: expected string or array, received";

describe("an error in a union is about the shape that was sent", () => {
	it.each<[string, object, string]>([
		[
			"stop",
			{ stop: ["a", "b", "c", "d", "e"] },
			"Too big: expected array to have <=4 items.",
		],
		[
			"stop[1]",
			{ stop: ["a", ""] },
			"Too small: expected string to have >=1 characters.",
		],
		[
			"stop[0]",
			{ stop: [5] },
			"Invalid input: expected string, received number.",
		],
		["stop", { stop: long }, TOO_LONG],
		["stop[0]", { stop: [long] }, TOO_LONG],
		["stop", { stop: 5 }, `${TEXT_OR_PARTS} number.`],
		["stop", { stop: { a: 1 } }, `${TEXT_OR_PARTS} object.`],
	])("stop, on both ways: %s %j", async (field, part, words) => {
		expect(await refusal("/jobs", { prompt: "?", ...part })).toBe(
			`\`${field}\`: ${words}`,
		);
		expect(await refusal("/chat/completions", chat(part))).toBe(
			`\`${field}\`: ${words}`,
		);
	});

	it.each<[object, string]>([
		[{ tools: [tool] }, `\`tools\`: ${OFF}`],
		[{ tools: tool }, `\`tools\`: ${OFF}`],
		[{ tools: "look" }, `\`tools\`: ${OFF}`],
		[{ functions: [{ name: "look" }] }, `\`functions\`: ${OFF}`],
	])("what a completion does not have: %j", async (part, words) => {
		expect(await refusal("/chat/completions", chat(part))).toBe(words);
	});

	it.each(["tool_calls", "annotations", "refusal", "audio", "function_call"])(
		"what an answer that is sent back does not have: %s",
		async (name) => {
			for (const value of [[tool], "no", tool, 5])
				expect(
					await refusal("/chat/completions", answerWith({ [name]: value })),
				).toBe(`\`messages[1].${name}\`: ${OFF}`);
		},
	);

	it.each<[unknown, string]>([
		[5, `\`messages[0].content\`: ${TEXT_OR_PARTS} number.`],
		// Null counts as left out.
		[
			null,
			"`messages[0].content`: is missing or empty: expected string or array.",
		],
		[
			undefined,
			"`messages[0].content`: is missing or empty: expected string or array.",
		],
		[{ type: "text" }, `\`messages[0].content\`: ${TEXT_OR_PARTS} object.`],
		[[], "`messages[0].content`: Too small: expected array to have >=1 items."],
		[
			"x".repeat(40_000),
			"`messages[0].content`: Too big: expected string to have <=32768 characters.",
		],
		[
			["Hello"],
			"`messages[0].content[0]`: Invalid input: expected object, received string.",
		],
		[
			[{ type: "text" }],
			"`messages[0].content[0].text`: is missing or empty: expected string.",
		],
		[
			[{ type: "text", text: "?", more: 1 }],
			"There is no parameter `messages[0].content[0].more`. Remove it, or check its spelling.",
		],
	])("a message's content, on both ways: %j", async (content, words) => {
		expect(await refusal("/chat/completions", user(content))).toBe(words);
		const { messages } = user(content);
		expect(await refusal("/jobs", { messages })).toBe(words);
	});

	it("a part of an unknown type: the error lists the types", async () => {
		const parts = [{ type: "input_audio", input_audio: {} }];
		expect(await refusal("/chat/completions", user(parts))).toBe(
			"`messages[0].content[0].type`: Invalid discriminator value. " +
				"Expected 'text' | 'image_url' | 'file'.",
		);
		const { messages } = user(parts);
		expect(await refusal("/jobs", { messages })).toBe(
			"`messages[0].content[0].type`: Invalid discriminator value. Expected 'text' | 'image'.",
		);
		const tools = { model: "nano", messages: [{ role: "tool", content: "" }] };
		expect(await refusal("/chat/completions", tools)).toBe(
			"`messages[0].role`: Invalid discriminator value. " +
				"Expected 'system' | 'developer' | 'user' | 'assistant'.",
		);
	});

	it.each<[string, unknown, string]>([
		["", {}, "needs exactly one of `upload` and `url`."],
		["", { uplod: "img_" }, "needs exactly one of `upload` and `url`."],
		[
			"",
			{ url: "https://example.com/a.png", upload: "img_" },
			"needs exactly one of `upload` and `url`.",
		],
		["", "https://a.b", "Invalid input: expected object, received string."],
		["", null, "Invalid input: expected object, received null."],
		[".upload", { upload: "cat" }, "is not an upload id."],
		[
			".upload",
			{ upload: 5 },
			"Invalid input: expected string, received number.",
		],
		[".url", { url: 5 }, "Invalid input: expected string, received number."],
		// An empty value counts as left out.
		["", { url: "" }, "needs exactly one of `upload` and `url`."],
	])("an image: images[0]%s %j", async (at, image, words) => {
		expect(await refusal("/jobs", { prompt: "?", images: [image] })).toBe(
			`\`images[0]${at}\`: ${words}`,
		);
	});

	it("an image with an unknown member", async () => {
		const images = [{ url: "https://example.com/a.png", detail: "high" }];
		expect(await refusal("/jobs", { prompt: "?", images })).toBe(
			"There is no parameter `images[0].detail`. Remove it, or check its spelling.",
		);
	});

	it.each<[object, string]>([
		[{}, "`body`: needs exactly one of `event` and `after`."],
		[
			{ event: null, after: "" },
			"`body`: needs exactly one of `event` and `after`.",
		],
		[
			{ after: -1, event: null },
			"`after`: Too small: expected number to be >=0.",
		],
		[{ event: long, after: null }, `\`event\`: ${TOO_LONG}`],
		[
			{ event: "e", after: 1 },
			"`body`: needs exactly one of `event` and `after`.",
		],
		[{ after: -1 }, "`after`: Too small: expected number to be >=0."],
		[
			{ after: "1" },
			"`after`: Invalid input: expected number, received string.",
		],
		[{ event: 1 }, "`event`: Invalid input: expected string, received number."],
		[{ event: long }, `\`event\`: ${TOO_LONG}`],
	])("what is to be delivered again: %j", async (body, words) => {
		const path = "/webhooks/wh_01JD8Z6Q3V9Y4K2M7N5P8R1S3T/redeliver";
		expect(await refusal(path, body)).toBe(words);
	});
});

it.each([
	{ event: "evt_0123456789abcdef_42", after: null },
	{ after: 0, event: null },
	{ after: 0, event: "" },
])(
	"what is to be delivered again may name the other one as null or empty: %j",
	async (body) => {
		const path = "/webhooks/wh_01JD8Z6Q3V9Y4K2M7N5P8R1S3T/redeliver";
		const answer = await edge.fetch(`http://edge.test/v1${path}`, {
			method: "POST",
			headers: {
				Authorization: `Bearer ${key}`,
				"Content-Type": "application/json",
			},
			body: JSON.stringify(body),
		});
		expect(await answer.json()).toMatchObject({ code: "webhook_not_found" });
	},
);

describe("no error calls a null, empty or missing value undefined", () => {
	const missing = (field: string, expected: string) =>
		`\`${field}\`: is missing or empty: expected ${expected}.`;

	it.each([
		[{ image_url: null }, "image_url", "object"],
		[{ image_url: {} }, "image_url", "object"],
		[{ image_url: { url: "" } }, "image_url", "object"],
		[{}, "image_url", "object"],
	])("an image's part: %j", async (part, at, expected) => {
		const parts = [{ type: "image_url", ...part }];
		const words = await refusal("/chat/completions", user(parts));
		const name = words.includes(".url`") ? `${at}.url` : at;
		expect(words).toBe(
			missing(
				`messages[0].content[0].${name}`,
				name === at ? expected : "string",
			),
		);
	});

	it("a text, natively and in OpenAI's shape", async () => {
		const body = user([{ type: "text", text: null }]);
		const words = missing("messages[0].content[0].text", "string");
		expect(await refusal("/chat/completions", body)).toBe(words);
		expect(await refusal("/jobs", { messages: body.messages })).toBe(words);
	});

	it.each(["", null])("a webhook's url: %j", async (url) => {
		expect(
			await refusal("/jobs", {
				prompt: "?",
				webhook: { url, events: ["job.failed"] },
			}),
		).toBe(missing("webhook.url", "string"));
	});
});

describe("a number in a query", () => {
	it.each([
		"jobs?limit=abc",
		"jobs?limit=1&limit=2",
		"uploads?limit=abc",
		"events?limit=1&limit=2",
		"files?limit=x",
	])("that is none is told so in words: %s", async (path) => {
		const answer = await edge.fetch(`http://edge.test/v1/${path}`, {
			headers: { Authorization: `Bearer ${key}` },
		});
		expect(answer.status).toBe(400);
		const text = await answer.text();
		expect(text).toContain(
			"`limit`: is not one number: send it once, in digits.",
		);
		expect(text).not.toContain("NaN");
	});
});

describe("a name that the caller chose", () => {
	it("is quoted only up to a limit", async () => {
		const named = (name: string) => ({
			prompt: "?",
			metadata: { [name]: "a" },
		});
		expect(await refusal("/jobs", named(""))).toContain(
			"Too small: expected string to have >=1 characters",
		);
		const words = await refusal("/jobs", named("n".repeat(100_000)));
		expect(words).toContain(TOO_LONG);
		expect(words.length).toBeLessThan(200);
		const unknown = await refusal("/jobs", { ["n".repeat(100_000)]: 1 });
		expect(unknown.length).toBeLessThan(200);
	});
});
