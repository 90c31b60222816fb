/**
 * How the Worker and the Jobs report what they measure. All that runs in one isolate adds to the
 * same sums, and one of them sends the sums of a second to the Collector: measuring costs a
 * call neither a wait nor an RPC of its own. A process that is killed loses its last second of
 * counts.
 */
import { logLine } from "../log.ts";
import { collectorOf } from "../objects.ts";
import { count, type Measurement, type Sums } from "./catalog.ts";

const BATCH_MS = 1_000;

let sums: Sums = {};
/** When a call took over the sending; null where none has. */
let sendingSince: number | null = null;

export function measure(
	env: Env,
	ctx: Pick<ExecutionContext, "waitUntil">,
	measured: readonly Measurement[],
): void {
	if (measured.length === 0) return;
	count(sums, measured);
	const now = Date.now();
	// The call that took over may have been killed since.
	if (sendingSince !== null && now - sendingSince < 3 * BATCH_MS) return;
	sendingSince = now;
	ctx.waitUntil(send(env));
}

async function send(env: Env): Promise<void> {
	await new Promise((resolve) => setTimeout(resolve, BATCH_MS));
	const sent = sums;
	sums = {};
	sendingSince = null;
	try {
		await collectorOf(env).add(sent);
	} catch (error) {
		logLine("metrics_lost", { cause: String(error) });
	}
}
