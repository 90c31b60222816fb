/**
 * The conversation that a job's model reads: that of the job it continues, then the request's
 * turns.
 */
import type { Message } from "../contract/job.ts";
import { ApiError } from "../errors.ts";
import type { Model } from "../models.ts";
import type { ImageSource } from "../schema/image.ts";
import type { JobRequest } from "../schema/job.ts";
import { TASKS, type Task } from "../tasks.ts";

/** Messages, with their images in the order of the image parts. */
export interface Conversation<Image> {
	messages: Message[];
	images: Image[];
}

/** An image of a request. */
export interface ImageInput {
	source: ImageSource;
	/** The request's field, for errors: `images[0].url`. */
	field: string;
}

/**
 * The longest conversation of a job, in UTF-16 units: more than any model reads, and less than a
 * row of SQLite holds.
 */
const LONGEST_CONVERSATION = 262_144;

/**
 * The turns of a request that has `messages`, `prompt` or `task`. Images without an image part of
 * their own come first in the first user message.
 */
export function turnsOf(request: JobRequest): Conversation<ImageInput> {
	const images = imagesOf(request.images);
	const messages = (
		request.messages ?? [{ role: "user" as const, content: promptOf(request) }]
	).map(({ role, content }) => ({ role, content: partsOf(content) }));
	const placed = imagesIn(messages);
	const unplaced = images.slice(placed);
	messages
		.find(({ role }) => role === "user")
		?.content.unshift(...unplaced.map(() => ({ type: "image" as const })));
	return { messages, images: [...unplaced, ...images.slice(0, placed)] };
}

export const imagesOf = (sources: readonly ImageSource[]): ImageInput[] =>
	sources.map((source, n) => ({
		source,
		field: `images[${n}].${"url" in source ? "url" : "upload"}`,
	}));

/** The number of image parts. */
export const imagesIn = (messages: readonly Message[]): number =>
	messages
		.flatMap(({ content }) => content)
		.filter(({ type }) => type === "image").length;

/**
 * Appends the turns to an earlier conversation and its answer.
 * @throws ApiError `invalid_request` where the whole is longer than a job may keep
 */
export function continueConversation(
	before: { messages: Message[]; answer: string } | null,
	turns: Message[],
): Message[] {
	const messages = before ? [...before.messages] : [];
	// A job that was canceled before its first token adds no turn.
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
		const size = `the conversation has ${length} characters`;
		const limit = `a job keeps at most ${LONGEST_CONVERSATION}`;
		const remedy = "Send the part that matters as `messages`.";
		throw new ApiError({
			code: "invalid_request",
			field,
			detail: `\`${field}\`: ${size}, and ${limit}. ${remedy}`,
		});
	}
	return messages;
}

/**
 * What the model is asked first, and what it is asked over its answer. A task of a model that
 * describes first becomes two questions: the description, then the task.
 * @param messages the task's images and prompt as one message, where there is a task
 */
export function questionsOf(
	messages: Message[],
	task: Task | null,
	{ describesFirst }: Model,
): { messages: Message[]; followUp: string | null } {
	if (!describesFirst || task === null || task === "describe")
		return { messages, followUp: null };
	const describe: Message[] = messages.map(({ role, content }) => ({
		role,
		content: content.map((part) =>
			part.type === "text"
				? { type: "text", text: TASKS.describe.prompt }
				: part,
		),
	}));
	return { messages: describe, followUp: TASKS[task].prompt };
}

const promptOf = ({ task, prompt }: JobRequest): string =>
	task ? TASKS[task].prompt : (prompt ?? "");

const partsOf = (
	content: NonNullable<JobRequest["messages"]>[number]["content"],
): Message["content"] =>
	typeof content === "string"
		? [{ type: "text", text: content }]
		: content.map((part) => ({ ...part }));
