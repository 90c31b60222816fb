/** Counters, histograms and the pools' load, for Prometheus, behind the admin secret. */

import type { Load } from "../contract/pool.ts";
import { config } from "../env.ts";
import { authenticateOperator } from "../http/authenticate.ts";
import { newRouter } from "../http/router.ts";
import { logLine } from "../log.ts";
import {
	EXPOSITION_TYPE,
	exposition,
	type Gauge,
} from "../metrics/exposition.ts";
import { collectorOf, poolOf } from "../objects.ts";

export const metrics = newRouter();

metrics.use("/metrics", authenticateOperator);
metrics.get("/metrics", async (c) => {
	const models = [...config(c.env).models.keys()];
	const [sums, ...loads] = await Promise.all([
		collectorOf(c.env).read(),
		...models.map((model) => loadOf(c.env, model)),
	]);
	const known = models.map((model, n) => ({ model, load: loads[n] ?? null }));
	return c.body(exposition(sums, gaugesOf(known)), 200, {
		"Content-Type": EXPOSITION_TYPE,
		"Cache-Control": "no-store",
	});
});

/** Null where the pool does not answer: the rest is told all the same. */
async function loadOf(env: Env, model: string): Promise<Load | null> {
	try {
		return await poolOf(env, model).load(model);
	} catch (error) {
		logLine("rpc_failed", { object: "worker", cause: String(error) });
		return null;
	}
}

function gaugesOf(known: { model: string; load: Load | null }[]): Gauge[] {
	const gauge = (
		name: string,
		help: string,
		value: (load: Load) => number,
	): Gauge => ({
		name,
		help,
		series: known.flatMap(({ model, load }) =>
			load ? [{ labels: { model }, value: value(load) }] : [],
		),
	});
	return [
		{
			name: "pool_up",
			help: "Whether the pool of the model answered.",
			series: known.map(({ model, load }) => ({
				labels: { model },
				value: Number(load !== null),
			})),
		},
		gauge("queue_jobs", "Jobs that wait for a slot.", (load) => load.waiting),
		gauge("running_jobs", "Slots that jobs hold.", (load) => load.running),
		gauge(
			"ready_slots",
			"Slots of ready workers, taken or not.",
			(load) => load.ready_slots,
		),
		gauge(
			"queued_seconds_per_slot",
			"Estimated work in the queue for each ready slot: what autoscaling reads.",
			(load) => load.queued_seconds_per_slot,
		),
		{
			name: "workers",
			help: "Workers by what they last said, or by their circuit breaker.",
			series: known.flatMap(({ model, load }) =>
				[...new Set(load?.workers.map(({ state }) => state))].map((state) => ({
					labels: { model, state },
					value: load?.workers.filter((w) => w.state === state).length ?? 0,
				})),
			),
		},
	];
}
