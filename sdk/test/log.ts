/** A job's log as the API serves it. */
import { createHash } from "node:crypto";

export interface LogEvent {
	seq: number;
	type: string;
	data: object;
}

export const hashOf = (text: string): string =>
	createHash("sha256").update(text).digest("hex");

/**
 * Makes the events from `job.queued` to `done`.
 *
 * @param said what `done` says instead of the truth
 */
export function logOf(
	pieces: string[],
	said: object = {},
	end: "succeeded" | "failed" = "succeeded",
): LogEvent[] {
	const text = pieces.join("");
	const id = "01JD8Z6Q3V9Y4K2M7N5P8R1S3T";
	const state = (status: string) => ({
		type: `job.${status}`,
		data: { id, status },
	});
	const events = [
		state("queued"),
		state("running"),
		...pieces.map((text) => ({ type: "token", data: { text } })),
		{
			type: "usage",
			data: { images: 1, prompt_tokens: 9, output_tokens: pieces.length },
		},
		state(end),
		{
			type: "done",
			data: {
				last_seq: pieces.length + 5,
				tokens: pieces.length,
				bytes: Buffer.byteLength(text),
				sha256: hashOf(text),
				...said,
			},
		},
	];
	return events.map((event, n) => ({ seq: n + 1, ...event }));
}

export const sse = (events: LogEvent[]): string =>
	events
		.map(
			({ seq, type, data }) =>
				`id: ${seq}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`,
		)
		.join("");
