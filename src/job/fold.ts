/**
 * The log of a job that ended, in a few rows: the events of many rows as one JSON text each. What a reader gets from it
 * is what it got before, to the byte.
 */
import type { LogEvent } from "../contract/job.ts";

/** A row is closed where another event would make it longer than this, in UTF-16 units. */
const LONGEST_ROW = 64 * 1024;

/** Output tokens that came with events; ids are all there, or none. */
export interface Tokens {
	ids: number[];
	tokens: number;
}

export type WrittenEvent = LogEvent & Tokens;

export interface FoldedRow extends Tokens {
	/** Sequence number of its last event; the others count up to it. */
	seq: number;
	data: string;
}

/** The text of a `token` event, or any event's type and data. */
type Entry = string | [type: string, data: string];

/** @param events without gaps */
export function fold(
	events: readonly WrittenEvent[],
	longest: number = LONGEST_ROW,
): FoldedRow[] {
	const rows: FoldedRow[] = [];
	let parts: string[] = [];
	let length = 0;
	let ids: number[] = [];
	let tokens = 0;
	events.forEach((event, n) => {
		const part = JSON.stringify(entryOf(event));
		parts.push(part);
		length += part.length + 1;
		ids.push(...event.ids);
		tokens += event.tokens;
		const next = events[n + 1];
		if (next && length + next.data.length <= longest) return;
		rows.push({ seq: event.seq, data: `[${parts.join(",")}]`, ids, tokens });
		[parts, length, ids, tokens] = [[], 0, [], 0];
	});
	return rows;
}

export function unfold({
	seq,
	data,
}: Pick<FoldedRow, "seq" | "data">): LogEvent[] {
	const entries = JSON.parse(data) as Entry[];
	const first = seq - entries.length + 1;
	return entries.map((entry, n) =>
		typeof entry === "string"
			? { seq: first + n, type: "token", data: tokenData(entry) }
			: { seq: first + n, type: entry[0], data: entry[1] },
	);
}

/** The data of a `token` event. */
export const tokenData = (text: string): string => JSON.stringify({ text });

function entryOf({ type, data }: LogEvent): Entry {
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
