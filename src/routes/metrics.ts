/** Counters, histograms and the pools' load, for Prometheus, behind the admin secret. */

import type { Load } from "../contract/pool.ts";
import { config } from "../env.ts";
import { authenticateReader } from "../http/operators.ts";
import { newRouter } from "../http/router.ts";
import { logLine } from "../log.ts";
import {
	EXPOSITION_TYPE,
	exposition,
	type Gauge,
} from "../metrics/exposition.ts";
import { collectorOf, poolOf } from "../objects.ts";

export const metrics = newRouter();

metrics.get("/metrics", authenticateReader, async (c) => {
	const models = [...config(c.env).models.keys()];
	const [sums, ...loads] = await Promise.all([
		collectorOf(c.env).read(),
		...models.map((model) => loadOf(c.env, model)),
	]);
	return c.body(exposition(sums, gaugesOf(loads)), 200, {
		"Content-Type": EXPOSITION_TYPE,
		"Cache-Control": "no-store",
	});
});

interface ModelLoad {
	model: string;
	/** Null if the Pool does not answer; the other metrics are still written. */
	load: Load | null;
}

async function loadOf(env: Env, model: string): Promise<ModelLoad> {
	try {
		return { model, load: await poolOf(env, model).load(model) };
	} catch (error) {
		logLine("rpc_failed", { object: "worker", cause: String(error) });
		return { model, load: null };
	}
}

function gaugesOf(loads: ModelLoad[]): Gauge[] {
	const gauge = (
		name: string,
		help: string,
		value: (load: Load) => number,
	): Gauge => ({
		name,
		help,
		series: loads.flatMap(({ model, load }) =>
			load ? [{ labels: { model }, value: value(load) }] : [],
		),
	});
	return [
		{
			name: "pool_up",
			help: "Whether the pool of the model answered.",
			series: loads.map(({ model, load }) => ({
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
			series: loads.flatMap(({ model, load }) =>
				[...new Set(load?.workers.map(({ state }) => state))].map((state) => ({
					labels: { model, state },
					value: load?.workers.filter((w) => w.state === state).length ?? 0,
				})),
			),
		},
	];
}
