/**
 * Translates a chat completion request into the input of a job.
 *
 * Runs in the Worker, as all of submit/ does.
 */

import type { Message } from "../contract/job.ts";
import { ApiError } from "../errors.ts";
import { UPLOAD_ID } from "../ids.ts";
import type { ChatRequest } from "../schema/chat.ts";
import type { ImageSource } from "../schema/image.ts";
import { JobRequest } from "../schema/job.ts";
import type { ImageInput } from "./conversation.ts";
import { type Headers, type JobInput, jobInputOf } from "./request.ts";

/** The values of a job's members that a completion request does not have. */
const DEFAULTS = JobRequest.parse({ prompt: "x" });

/**
 * @param rawBody the body as sent, before defaults
 * @throws ApiError `upload_not_found` for a file id that has not the form of an upload id;
 * `invalid_request` naming a header
 */
export function jobInputOfChat(
	request: ChatRequest,
	rawBody: object,
	headers: Headers,
): JobInput {
	const images: ImageInput[] = [];
	const messages = request.messages.map(({ role, content }, n): Message => {
		const parts: Message["content"] = [];
		if (typeof content === "string")
			parts.push({ type: "text", text: content });
		else
			for (const [m, part] of content.entries()) {
				if (part.type !== "text")
					images.push(imageOf(part, `messages[${n}].content[${m}]`));
				parts.push(
					part.type === "text"
						? { type: "text", text: part.text }
						: { type: "image" },
				);
			}
		return { role: role === "developer" ? "system" : role, content: parts };
	});
	const job: JobRequest = {
		...DEFAULTS,
		model: request.model,
		temperature: request.temperature,
		top_p: request.top_p,
		seed: request.seed,
		stop: request.stop,
		max_price: request.max_price,
		quote: request.quote,
		metadata: request.metadata ?? DEFAULTS.metadata,
		// A client that hangs up on a completion cannot read it later.
		on_disconnect: "cancel",
	};
	const input = jobInputOf(job, hashInputOf(rawBody), headers);
	const max_tokens =
		request.max_completion_tokens ?? request.max_tokens ?? null;
	return {
		...input,
		turns: { messages, images },
		fields: { texts: "messages", images: "messages" },
		sampling: { ...input.sampling, max_tokens },
	};
}

type Part = Exclude<
	Exclude<ChatRequest["messages"][number]["content"], string>[number],
	{ type: "text" }
>;

function imageOf(part: Part, path: string): ImageInput {
	if (part.type === "image_url") {
		const { url } = part.image_url;
		return { source: sourceOf(url), field: `${path}.image_url.url` };
	}
	const { file_id, file_data } = part.file;
	if (file_data !== undefined)
		return { source: { url: file_data }, field: `${path}.file.file_data` };
	const field = `${path}.file.file_id`;
	if (!UPLOAD_ID.test(file_id ?? ""))
		throw new ApiError({ code: "upload_not_found", field });
	return { source: { upload: file_id as string }, field };
}

const sourceOf = (url: string): ImageSource =>
	UPLOAD_ID.test(url) ? { upload: url } : { url };

/**
 * The part of a body that a repeat must equal. Images are left out, because their hashes are
 * compared instead, and so is `stream`, so that a repeat may stream what the first call did not.
 */
function hashInputOf(rawBody: object): object {
	const { stream, stream_options, messages, ...rest } = rawBody as Record<
		string,
		unknown
	>;
	return {
		...rest,
		object: "chat.completion",
		messages: (messages as { content?: unknown }[]).map((message) => ({
			...message,
			content: Array.isArray(message.content)
				? message.content.map((part) =>
						part.type === "image_url" || part.type === "file"
							? { type: "image" }
							: part,
					)
				: message.content,
		})),
	};
}
