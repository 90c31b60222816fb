/** What a receiver gets: Standard Webhooks' `{type, timestamp, data}`. */

import { TERMINAL_EVENTS } from "../contract/event-type.ts";
import { jobOf } from "../objects.ts";
import { jobWire } from "../schema/job-wire.ts";
import type { Content } from "./deliveries.ts";

/** A job settles in its account before it notes that itself; it is asked again after so long. */
const PAUSES_MS = [20, 50, 100, 200, 400, 800];

/**
 * The whole job, where it is the job's end that is told, and the summary if the job is gone by now.
 * @returns null where the job cannot say yet
 */
export async function bodyOf(
	env: Env,
	{ account, origin }: { account: string; origin: string },
	type: string,
	{ createdAt, data }: Content,
): Promise<string | null> {
	const body = (data: unknown) =>
		JSON.stringify({
			type,
			timestamp: new Date(createdAt).toISOString(),
			data,
		});
	const known = JSON.parse(data);
	if (!TERMINAL_EVENTS.some((terminal) => terminal === type))
		return body(known);
	for (const pause of [0, ...PAUSES_MS]) {
		if (pause) await new Promise((resolve) => setTimeout(resolve, pause));
		const view = await jobOf(env, account, known.id).view();
		if (!view) return body(known);
		if (view.finishedAt !== null) return body(jobWire(view, origin));
	}
	return null;
}
