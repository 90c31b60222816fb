/** The event types that `--events` takes. */
import type { EventType } from "../index.ts";
import { UsageError } from "./exit.ts";
import { nearest } from "./options.ts";

/** Every type, and whether a webhook that names no types receives it. */
const TYPES: Record<EventType, boolean> = {
	"job.created": false,
	"job.succeeded": true,
	"job.failed": true,
	"job.canceled": true,
	"job.expired": true,
	"job.deleted": false,
	"webhook.gave_up": false,
	"webhook.disabled": false,
};
const EVENT_TYPES = Object.keys(TYPES) as EventType[];

/** The types that say how a job ended. */
export const TERMINAL_TYPES: readonly EventType[] = EVENT_TYPES.filter(
	(type) => TYPES[type],
);

/**
 * Reads a list such as `job.succeeded,job.failed`.
 *
 * @throws UsageError for an unknown type
 */
export function parseEventTypes(list: string): EventType[] {
	return list.split(",").map((item) => {
		const word = item.trim();
		const type = EVENT_TYPES.find((each) => each === word);
		if (type) return type;
		const like = nearest(word, EVENT_TYPES);
		throw new UsageError(
			[
				`There is no event type "${word}".`,
				...(like ? [`Did you mean ${like}?`] : []),
				`The types are: ${EVENT_TYPES.join(", ")}.`,
			].join(" "),
		);
	});
}
