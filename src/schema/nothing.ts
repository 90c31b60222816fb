/** What a request may hold that asks for nothing: it is passed over, as if it had been left out. */
import { z } from "@hono/zod-openapi";

type Members = Record<string, unknown>;

const isObject = (value: unknown): value is Members =>
	typeof value === "object" && value !== null && !Array.isArray(value);

/** Clients write these for what was not given. */
export function isEmpty(value: unknown): boolean {
	if (value === undefined || value === null || value === "") return true;
	if (Array.isArray(value)) return value.length === 0;
	return typeof value === "object" && Object.keys(value).length === 0;
}

/** An object without its members that are null or empty. @param needed names that may be empty, not null */
export const lean = (value: unknown, ...needed: string[]): unknown =>
	isObject(value)
		? Object.fromEntries(
				Object.entries(value).filter(([name, member]) =>
					needed.includes(name) ? member !== null : !isEmpty(member),
				),
			)
		: value;

/**
 * A request without what asks for nothing. `false` and 0 ask for nothing where they are not among a parameter's own values.
 * @param needed names that may be empty, not null
 * @param own names whose `false` and 0 are told of, or mean something
 */
export function leanRequest(
	value: unknown,
	needed: readonly string[],
	own: readonly string[],
): unknown {
	if (!isObject(value)) return value;
	const request = lean(value, ...needed, WEB_SEARCH) as Members;
	dropNone(request, own);
	// Unlike all others it asks for something when it is `{}`.
	const search = request[WEB_SEARCH];
	if (search === "" || (Array.isArray(search) && search.length === 0))
		delete request[WEB_SEARCH];
	return request;
}
function dropNone(members: Members, own: readonly string[]): void {
	for (const [name, member] of Object.entries(members))
		if ((member === false || member === 0) && !own.includes(name))
			delete members[name];
}

const WEB_SEARCH = "web_search_options";

/** What clients attach to an answer, and send back with it. The model does not read it. */
const ATTACHED = [
	"id",
	"provider_specific_fields",
	"reasoning",
	"reasoning_content",
	"reasoning_details",
	"thinking_blocks",
];

/** A message without what says nothing. One that is not the user's may have no content: as of an answer without text. */
export function leanMessage(value: unknown): unknown {
	const message = lean(value, "content");
	if (!isObject(message)) return message;
	dropNone(message, ["role", "content"]);
	for (const name of ATTACHED) delete message[name];
	const { role, content } = message;
	if (Array.isArray(content)) {
		const parts = content.map(leanPart);
		message.content = role === "assistant" ? parts.flatMap(said) : parts;
	}
	if (role !== "user" && isEmpty(message.content)) message.content = "";
	return message;
}

/** What an answer's part said to the user, as text. What the model thought by itself was no part of what it said. */
function said(part: unknown): unknown[] {
	if (!isObject(part)) return [part];
	const { type, annotations: _, logprobs: __, ...rest } = part;
	if (type === "output_text") return [{ ...rest, type: "text" }];
	if (type === "refusal") {
		const { refusal, ...more } = rest;
		return [{ ...more, type: "text", text: refusal ?? "" }];
	}
	return THOUGHTS.includes(type) ? [] : [part];
}
const THOUGHTS: unknown[] = ["thinking", "redacted_thinking", "reasoning"];

const leanPart = (value: unknown): unknown => {
	const part = lean(value, "text");
	if (!isObject(part)) return part;
	for (const name of ["image_url", "file"])
		if (isObject(part[name])) part[name] = lean(part[name]);
	return part;
};

const only = <const V extends string | number | boolean>(
	value: V,
	error: string,
) => z.literal(value, { error }).nullish();
const zero = only(0, "is not supported here: send 0, or leave it out");
const no = only(false, "is not supported here: send false");
const none = only("none", "is not supported here: leave it out");

/** Parameters of OpenAI's by the values that ask for nothing. */
export const NEUTRAL = {
	n: only(1, "there is one answer to a call: send 1"),
	frequency_penalty: zero,
	presence_penalty: zero,
	logprobs: no,
	top_logprobs: zero,
	parallel_tool_calls: no,
	store: only(
		false,
		"is not supported here: send false. The job is kept, see the X-Job-Id header",
	),
	response_format: z
		.preprocess(
			(value) => lean(value),
			z.strictObject({
				type: z.literal("text", {
					error: "is not supported here: send text, or leave it out",
				}),
			}),
		)
		.nullish(),
	modalities: z
		.array(z.literal("text", { error: "is not supported here: send text" }))
		.nullish(),
	tool_choice: none,
	function_call: none,
	reasoning_effort: none,
	verbosity: only("medium", "is not supported here: leave it out"),
	service_tier: z
		.enum(["auto", "default"], {
			error: "is not supported here: send auto or default",
		})
		.nullish(),
};

/** The native request's ways to ask: what is empty is wrong only where nothing else asks. */
const WAYS = ["prompt", "task", "messages"];
const OWN = [
	...WAYS,
	...["model", "images", "previous_job", "max_tokens", "temperature", "top_p"],
	...["repetition_penalty", "seed", "expires_in", "on_disconnect", "webhook"],
	// There is always one answer.
	"n",
];

/** A native request, without what asks for nothing in its own words or in OpenAI's. */
export function leanJob(value: unknown): unknown {
	if (!isObject(value)) return value;
	const asks = WAYS.some((way) => !isEmpty(value[way]));
	const job = leanRequest(value, asks ? [] : WAYS, OWN) as Members;
	for (const [name, schema] of Object.entries(NEUTRAL))
		if (schema.safeParse(job[name]).success) delete job[name];
	return job;
}
