/** A row of a job's log: one event, or many in folded form. */
import type { LogEvent } from "../contract/job.ts";
import { type Tokens, unfold } from "./fold.ts";

export interface Row extends Record<string, SqlStorageValue> {
	/** Of the last event in it. */
	seq: number;
	/** The event's, or `FOLDED`. */
	type: string;
	data: string;
	/** JSON: the ids of its output tokens; or how many there are, where the backend names no ids. */
	token_ids: string | null;
	/** See `Batch.held`. */
	held: string | null;
}

export const FOLDED = "folded";
export const NONE: Tokens = { ids: [], tokens: 0 };

export const eventsOf = ({
	seq,
	type,
	data,
}: Pick<Row, "seq" | "type" | "data">): LogEvent[] =>
	type === FOLDED ? unfold({ seq, data }) : [{ seq, type, data }];

export function tokensOf({ token_ids }: Pick<Row, "token_ids">): Tokens {
	if (token_ids === null) return NONE;
	const known = JSON.parse(token_ids) as number[] | number;
	return typeof known === "number"
		? { ids: [], tokens: known }
		: { ids: known, tokens: known.length };
}

/** For `token_ids`. */
export const tokenIds = ({ ids, tokens }: Tokens): string =>
	JSON.stringify(ids.length > 0 ? ids : tokens);
