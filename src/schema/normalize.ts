/**
 * Removes from a request the values that have no effect, so that they count as left out. Clients
 * send null, empty values, `false` and 0 for options that nobody set.
 */
import { z } from "@hono/zod-openapi";

type Members = Record<string, unknown>;

const isObject = (value: unknown): value is Members =>
	typeof value === "object" && value !== null && !Array.isArray(value);

/** Whether a value is null or holds nothing. */
function isEmpty(value: unknown): boolean {
	if (value === undefined || value === null || value === "") return true;
	if (Array.isArray(value)) return value.length === 0;
	return typeof value === "object" && Object.keys(value).length === 0;
}

/**
 * Removes an object's members that are null or empty.
 * @param required members that stay if they are empty, so that their own schema refuses them; null
 * ones go
 */
export const dropEmpty = (value: unknown, ...required: string[]): unknown =>
	isObject(value)
		? Object.fromEntries(
				Object.entries(value).filter(([name, member]) =>
					required.includes(name) ? member !== null : !isEmpty(member),
				),
			)
		: value;

/**
 * Removes a request's members without effect.
 * @param required as for `dropEmpty`
 * @param own parameters of this API, whose `false` and 0 stay
 */
export function normalizeRequest(
	value: unknown,
	required: readonly string[],
	own: readonly string[],
): unknown {
	if (!isObject(value)) return value;
	const request = dropEmpty(value, ...required, WEB_SEARCH) as Members;
	dropFalseAndZero(request, own);
	// Unlike all others, this parameter has an effect when it is `{}`.
	const search = request[WEB_SEARCH];
	if (search === "" || (Array.isArray(search) && search.length === 0))
		delete request[WEB_SEARCH];
	return request;
}

function dropFalseAndZero(members: Members, own: readonly string[]): void {
	for (const [name, member] of Object.entries(members))
		if ((member === false || member === 0) && !own.includes(name))
			delete members[name];
}

const WEB_SEARCH = "web_search_options";

/** Members that clients attach to an answer and send back with it. The model does not read them. */
const ATTACHED = [
	"id",
	"provider_specific_fields",
	"reasoning",
	"reasoning_content",
	"reasoning_details",
	"thinking_blocks",
];

/**
 * Removes a message's members without effect. Messages other than the user's may have no content,
 * as an answer without text has none.
 */
export function normalizeMessage(value: unknown): unknown {
	const message = dropEmpty(value, "content");
	if (!isObject(message)) return message;
	dropFalseAndZero(message, ["role", "content"]);
	for (const name of ATTACHED) delete message[name];
	const { role, content } = message;
	if (Array.isArray(content)) {
		const parts = content.map(normalizePart);
		message.content = role === "assistant" ? parts.flatMap(answerPart) : parts;
	}
	if (role !== "user" && isEmpty(message.content)) message.content = "";
	return message;
}

/**
 * Turns the parts of an answer that the user saw into text parts, and removes reasoning, which the
 * user did not see.
 */
function answerPart(part: unknown): unknown[] {
	if (!isObject(part)) return [part];
	const { type, annotations: _, logprobs: __, ...rest } = part;
	if (type === "output_text") return [{ ...rest, type: "text" }];
	if (type === "refusal") {
		const { refusal, ...more } = rest;
		return [{ ...more, type: "text", text: refusal ?? "" }];
	}
	return REASONING.includes(type) ? [] : [part];
}
const REASONING: unknown[] = ["thinking", "redacted_thinking", "reasoning"];

const normalizePart = (value: unknown): unknown => {
	const part = dropEmpty(value, "text");
	if (!isObject(part)) return part;
	for (const name of ["image_url", "file"])
		if (isObject(part[name])) part[name] = dropEmpty(part[name]);
	return part;
};

const only = <const V extends string | number | boolean>(
	value: V,
	error: string,
) => z.literal(value, { error }).nullish();
const onlyZero = only(0, "is not supported here: send 0, or leave it out");
const onlyFalse = only(false, "is not supported here: send false");
const onlyNone = only("none", "is not supported here: leave it out");

/**
 * OpenAI's parameters that this API does not have, each with a schema of the values that have no
 * effect.
 */
export const NEUTRAL_PARAMETERS = {
	n: only(1, "a call has one answer: send 1"),
	frequency_penalty: onlyZero,
	presence_penalty: onlyZero,
	logprobs: onlyFalse,
	top_logprobs: onlyZero,
	parallel_tool_calls: onlyFalse,
	store: only(
		false,
		"is not supported here: send false. The answer is stored as a job, whose id is in X-Job-Id",
	),
	response_format: z
		.preprocess(
			(value) => dropEmpty(value),
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
	tool_choice: onlyNone,
	function_call: onlyNone,
	reasoning_effort: onlyNone,
	verbosity: only("medium", "is not supported here: leave it out"),
	service_tier: z
		.enum(["auto", "default"], {
			error: "is not supported here: send auto or default",
		})
		.nullish(),
};

/**
 * A job has exactly one of these. An empty one counts as left out if another is set, and is refused
 * otherwise.
 */
const PROMPTS = ["prompt", "task", "messages"];

/**
 * Removes from a native request the members without effect, and OpenAI's parameters with a value
 * without effect.
 * @param own as for `normalizeRequest`
 */
export function normalizeJob(value: unknown, own: readonly string[]): unknown {
	if (!isObject(value)) return value;
	const hasPrompt = PROMPTS.some((name) => !isEmpty(value[name]));
	const required = hasPrompt ? [] : PROMPTS;
	const job = normalizeRequest(value, required, own) as Members;
	for (const [name, schema] of Object.entries(NEUTRAL_PARAMETERS))
		if (schema.safeParse(job[name]).success) delete job[name];
	return job;
}
