/**
 * Stores the log of a finished job in a few rows, each with many events as one JSON text. Readers
 * get the same bytes as before.
 */
import type { LogEvent } from "../contract/job.ts";

/** The length in UTF-16 units that no row exceeds, except one that holds a single long event. */
const LONGEST_ROW = 64 * 1024;

/** The output tokens of one or more events. `ids` is empty where the backend reports none. */
export interface OutputTokens {
	ids: number[];
	tokens: number;
}

export type StoredEvent = LogEvent & OutputTokens;

export interface FoldedRow extends OutputTokens {
	/** Sequence number of its last event; those before it follow one another without a gap. */
	seq: number;
	data: string;
}

/** The text of a `token` event; the type and data of any other event. */
type FoldedEvent = string | [type: string, data: string];

/**
 * No row holds tokens of the description and of the answer, so that a row's ids are of one of them.
 * @param events numbered without a gap
 */
export function fold(
	events: readonly StoredEvent[],
	longest: number = LONGEST_ROW,
): FoldedRow[] {
	const rows: FoldedRow[] = [];
	let parts: string[] = [];
	let length = 0;
	let ids: number[] = [];
	let tokens = 0;
	let isDescribed = false;
	events.forEach((event, n) => {
		const part = JSON.stringify(foldedEvent(event));
		parts.push(part);
		length += part.length + 1;
		ids.push(...event.ids);
		tokens += event.tokens;
		const next = events[n + 1];
		isDescribed ||= event.type === "description";
		const isAnswerNext = isDescribed && next?.type === "token";
		const fits = next && length + next.data.length <= longest;
		if (fits && !isAnswerNext) return;
		rows.push({ seq: event.seq, data: `[${parts.join(",")}]`, ids, tokens });
		parts = [];
		length = 0;
		ids = [];
		tokens = 0;
		isDescribed = false;
	});
	return rows;
}

export function unfold({
	seq,
	data,
}: Pick<FoldedRow, "seq" | "data">): LogEvent[] {
	const entries = JSON.parse(data) as FoldedEvent[];
	const first = seq - entries.length + 1;
	return entries.map((entry, n) =>
		typeof entry === "string"
			? { seq: first + n, type: "token", data: tokenData(entry) }
			: { seq: first + n, type: entry[0], data: entry[1] },
	);
}

/** The `data` of a `token` event, and of a `description` event. */
export const tokenData = (text: string): string => JSON.stringify({ text });

function foldedEvent({ type, data }: LogEvent): FoldedEvent {
	if (type === "token") {
		const text = textOf(data);
		if (text !== null && tokenData(text) === data) return text;
	}
	return [type, data];
}

function textOf(data: string): string | null {
	try {
		const text = JSON.parse(data)?.text;
		return typeof text === "string" ? text : null;
	} catch {
		return null;
	}
}
