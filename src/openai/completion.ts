/**
 * Turns a job's events into a chat completion, whole or in chunks.
 *
 * Runs in the Worker, as all of openai/ does.
 */
import type { LogEvent } from "../contract/job.ts";
import { type Failure, type FailureCode, wire } from "../errors.ts";
import { FAILURES, type Status } from "../failures.ts";
import type { ChatCompletion, ChatCompletionChunk } from "../schema/chat.ts";
import type { OpenAIError } from "../schema/problem.ts";
import { errorOf } from "./error.ts";

/** The members that a completion and each of its chunks have. */
export interface CompletionHead {
	id: string;
	/** Seconds since 1970. */
	created: number;
	model: string;
}

/** The error of a job that did not succeed. */
export interface CompletionFailure {
	code: FailureCode;
	status: Status;
	error: OpenAIError["error"];
}

type Usage = NonNullable<ChatCompletion["usage"]>;
type FinishReason = ChatCompletion["choices"][number]["finish_reason"];
type Choices = ChatCompletionChunk["choices"];

/** Collects from a job's events what a completion consists of. */
export class Completion {
	/** The text so far. */
	text = "";
	finishReason: FinishReason | null = null;
	failed: CompletionFailure | null = null;
	usage: Usage = {
		prompt_tokens: 0,
		completion_tokens: 0,
		total_tokens: 0,
		price: 0,
		price_parts: [],
	};
	readonly #imageFields: readonly string[];

	/** @param imageFields the request's field of each image of the job, for errors */
	constructor(imageFields: readonly string[]) {
		this.#imageFields = imageFields;
	}

	/** Whether the job has ended, well or not. */
	get ended(): boolean {
		return this.finishReason !== null || this.failed !== null;
	}

	/** @returns the text that this event adds */
	take({ type, data }: LogEvent): string {
		switch (type) {
			case "token": {
				const { text } = JSON.parse(data);
				this.text += text;
				return text;
			}
			case "usage": {
				const { prompt_tokens, output_tokens } = JSON.parse(data);
				this.usage = {
					...this.usage,
					prompt_tokens: prompt_tokens ?? 0,
					completion_tokens: output_tokens,
					total_tokens: (prompt_tokens ?? 0) + output_tokens,
				};
				break;
			}
			case "job.succeeded": {
				const { finish_reason, price, price_parts } = JSON.parse(data);
				this.finishReason = finish_reason === "stop" ? "stop" : "length";
				this.usage = { ...this.usage, price, price_parts };
				break;
			}
			case "job.failed": {
				const { code, message, field } = JSON.parse(data).error;
				this.#fail(code, message, this.#fieldOf(field));
				break;
			}
			case "job.canceled":
				this.#fail("job_canceled");
				break;
			case "job.expired":
				this.#fail("job_expired");
				break;
		}
		return "";
	}

	/** The job was erased while it was read. */
	erased(): void {
		this.#fail("job_gone");
	}

	/** The whole completion, or the error object of a job that failed. */
	toJSON(head: CompletionHead): ChatCompletion | OpenAIError {
		if (this.failed) return { error: this.failed.error };
		return {
			id: head.id,
			object: "chat.completion",
			created: head.created,
			model: head.model,
			choices: [
				{
					index: 0,
					message: { role: "assistant", content: this.text, refusal: null },
					logprobs: null,
					finish_reason: this.finishReason ?? "stop",
				},
			],
			usage: this.usage,
		};
	}

	#fail(
		code: FailureCode,
		message = wire({ code } as Failure).detail,
		field?: string,
	): void {
		const { status } = FAILURES[code];
		this.failed = { code, status, error: errorOf({ code, message, field }) };
	}

	/** The request's field of an image, which a worker names by its index among the job's images. */
	#fieldOf(field: string | undefined): string | undefined {
		const index = /^images\[(\d+)\]/.exec(field ?? "")?.[1];
		if (index === undefined) return field;
		return this.#imageFields[Number(index)] ?? field;
	}
}

/** Writes a completion as chunks: the text that each of the job's events adds to the stream. */
export class CompletionChunks {
	readonly #head: CompletionHead;
	readonly #completion: Completion;
	readonly #includeUsage: boolean;

	constructor(
		head: CompletionHead,
		completion: Completion,
		includeUsage: boolean,
	) {
		this.#head = head;
		this.#completion = completion;
		this.#includeUsage = includeUsage;
	}

	/** The chunk that begins every stream. */
	get opening(): string {
		return this.#choice({ role: "assistant", content: "", refusal: null });
	}

	/** The chunks of an event; empty for an event that OpenAI's API does not have. */
	of(event: LogEvent): string {
		// Events after the end, such as `done`, add nothing.
		if (this.#completion.ended) return "";
		const text = this.#completion.take(event);
		if (text) return this.#choice({ content: text });
		return this.#completion.ended ? this.#closing() : "";
	}

	/** The end of a stream whose job was erased. */
	get erased(): string {
		const completion = new Completion([]);
		completion.erased();
		return frame({ error: completion.failed?.error });
	}

	#closing(): string {
		const { failed, finishReason, usage } = this.#completion;
		if (failed) return frame({ error: failed.error });
		return [
			this.#choice({}, finishReason),
			this.#includeUsage ? this.#chunk([], usage) : "",
			"data: [DONE]\n\n",
		].join("");
	}

	#choice(
		delta: Choices[number]["delta"],
		finish_reason: FinishReason | null = null,
	): string {
		return this.#chunk([{ index: 0, delta, logprobs: null, finish_reason }]);
	}

	#chunk(choices: Choices, usage: Usage | null = null): string {
		return frame({
			id: this.#head.id,
			object: "chat.completion.chunk",
			created: this.#head.created,
			model: this.#head.model,
			choices,
			...(this.#includeUsage && { usage }),
		} satisfies ChatCompletionChunk);
	}
}

const frame = (data: object): string => `data: ${JSON.stringify(data)}\n\n`;
