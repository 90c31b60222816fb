/**
 * Where the Worker and the Jobs leave what they measured. All that runs in one isolate shares the sums of a second, and one
 * of them sends these on when it is over: measuring costs a call neither a wait nor an RPC of its own. A process that is
 * killed takes its last second of counts along.
 */
import { log } from "../log.ts";
import { metricsOf } from "../objects.ts";
import { count, type Measurement, type Sums } from "./catalog.ts";

const TOGETHER_MS = 1_000;

let sums: Sums = {};
/** When somebody took on to send them; null where nobody has. */
let promisedAt: number | null = null;

export function measure(
	env: Env,
	ctx: Pick<ExecutionContext, "waitUntil">,
	measured: readonly Measurement[],
): void {
	if (measured.length === 0) return;
	count(sums, measured);
	const now = Date.now();
	// Who promised may have died since.
	if (promisedAt !== null && now - promisedAt < 3 * TOGETHER_MS) return;
	promisedAt = now;
	ctx.waitUntil(send(env));
}

async function send(env: Env): Promise<void> {
	await new Promise((resolve) => setTimeout(resolve, TOGETHER_MS));
	const sent = sums;
	sums = {};
	promisedAt = null;
	try {
		await metricsOf(env).add(sent);
	} catch (error) {
		log("metrics_lost", { cause: String(error) });
	}
}
