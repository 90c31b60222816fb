/** What a job's model reads: the turns of a request, after those of the job that it goes on from. */
import type { Message } from "../contract/job.ts";
import { ApiError } from "../errors.ts";
import type { ImageSource } from "../schema/image.ts";
import type { JobRequest } from "../schema/job.ts";
import { TASKS } from "../tasks.ts";

/** Turns, and their images in the order of the turns' image parts. */
export interface Conversation<Image> {
	messages: Message[];
	images: Image[];
}

/** An image as it was asked for. */
export interface ImageInput {
	source: ImageSource;
	/** The request's field, for errors: `images[0].url`. */
	field: string;
}

/** UTF-16 units of a job's whole conversation: more than any model reads, and less than a row of SQLite holds. */
const LONGEST_CONVERSATION = 262_144;

/** The turns of a request, whichever way it asks. Images that no part takes come first in the first user's message. */
export function turnsOf(request: JobRequest): Conversation<ImageInput> {
	const asked = imagesOf(request.images);
	const messages = (
		request.messages ?? [{ role: "user" as const, content: promptOf(request) }]
	).map(({ role, content }) => ({ role, content: partsOf(content) }));
	const taken = imagesIn(messages);
	const free = asked.slice(taken);
	messages
		.find(({ role }) => role === "user")
		?.content.unshift(...free.map(() => ({ type: "image" as const })));
	return { messages, images: [...free, ...asked.slice(0, taken)] };
}

export const imagesOf = (sources: readonly ImageSource[]): ImageInput[] =>
	sources.map((source, n) => ({
		source,
		field: `images[${n}].${"url" in source ? "url" : "upload"}`,
	}));

/** How many image parts there are. */
export const imagesIn = (messages: readonly Message[]): number =>
	messages
		.flatMap(({ content }) => content)
		.filter(({ type }) => type === "image").length;

/**
 * An earlier conversation with its answer, and what is asked now.
 * @throws ApiError `invalid_request` where all of it is longer than a job may keep
 */
export function continueConversation(
	before: { messages: Message[]; answer: string } | null,
	turns: Message[],
): Message[] {
	const messages = before ? [...before.messages] : [];
	// An answer that has no text, as of a job that was canceled at once, is no turn.
	if (before?.answer)
		messages.push({
			role: "assistant",
			content: [{ type: "text", text: before.answer }],
		});
	messages.push(...turns);
	const length = messages
		.flatMap(({ content }) => content)
		.reduce(
			(sum, part) => sum + (part.type === "text" ? part.text.length : 8),
			0,
		);
	if (length > LONGEST_CONVERSATION) {
		const field = before ? "previous_job" : "messages";
		throw new ApiError({
			code: "invalid_request",
			field,
			detail: `\`${field}\`: the conversation has ${length} characters, and a job keeps at most ${LONGEST_CONVERSATION}. Send the part that matters as \`messages\`.`,
		});
	}
	return messages;
}

const promptOf = ({ task, prompt }: JobRequest): string =>
	task ? TASKS[task] : (prompt ?? "");

const partsOf = (
	content: NonNullable<JobRequest["messages"]>[number]["content"],
): Message["content"] =>
	typeof content === "string"
		? [{ type: "text", text: content }]
		: content.map((part) => ({ ...part }));
