/** The types of the feed's events, as `--events` names them. */
import type { EventType } from "../index.ts";
import { UsageError } from "./exit.ts";
import { nearest } from "./options.ts";

/** Each one, and whether a webhook gets it that asks for none. */
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
const KNOWN = Object.keys(TYPES) as EventType[];

/** How a job ends. */
export const ENDS: readonly EventType[] = KNOWN.filter((type) => TYPES[type]);

/** `job.succeeded,job.failed` @throws UsageError for what is none */
export function eventTypes(given: string): EventType[] {
	return given.split(",").map((each) => {
		const word = each.trim();
		const type = KNOWN.find((known) => known === word);
		if (type) return type;
		const like = nearest(word, KNOWN);
		throw new UsageError(
			`There is no event "${word}".${like ? ` Is it ${like}?` : ""} There is: ${KNOWN.join(", ")}.`,
		);
	});
}
