/**
 * The body of a delivery: Standard Webhooks' `{type, timestamp, data}`.
 *
 * Runs in the Endpoint object, as all of endpoint/ does.
 */

import { TERMINAL_EVENTS } from "../contract/event-type.ts";
import { jobOf } from "../objects.ts";
import { jobWire } from "../schema/job-wire.ts";
import type { Content } from "./deliveries.ts";

/**
 * A job is settled in its account before it writes that itself; it is asked again after these
 * pauses.
 */
const PAUSES_MS = [20, 50, 100, 200, 400, 800];

/**
 * The whole job in an event of its end, or the event's summary where the job is gone by now.
 * @returns null while the job has not written its end
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
	const summary = JSON.parse(data);
	if (!TERMINAL_EVENTS.some((terminal) => terminal === type))
		return body(summary);
	for (const pause of [0, ...PAUSES_MS]) {
		if (pause) await new Promise((resolve) => setTimeout(resolve, pause));
		const view = await jobOf(env, account, summary.id).view();
		if (!view) return body(summary);
		if (view.finishedAt !== null) return body(jobWire(view, origin));
	}
	return null;
}
