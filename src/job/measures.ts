/** The metrics of a change of a job, computed from the job before and after it. */

import { BACKEND_FAILURES } from "../backends/backend.ts";
import type { JobSpec } from "../contract/job.ts";
import type { Measurement } from "../metrics/catalog.ts";
import type { JobChange, JobState } from "./state.ts";

export interface JobSnapshot {
	state: JobState;
	/** Tokens in the log. */
	tokens: number;
}

/**
 * @param change null where an attempt in progress only added tokens
 * @param now milliseconds since 1970
 */
export function measures(
	{ model, createdAt }: Pick<JobSpec, "model" | "createdAt">,
	before: JobSnapshot,
	after: JobSnapshot,
	change: JobChange | null,
	now: number,
): Measurement[] {
	const measured: Measurement[] = [];
	const age = Math.max(0, now - Date.parse(createdAt)) / 1000;
	const { state } = after;
	if (before.tokens === 0 && after.tokens > 0)
		measured.push({
			name: "first_token_seconds",
			labels: { model },
			value: age,
		});
	if (change?.type === "granted" && before.state.startedAt === null)
		measured.push({ name: "queue_seconds", labels: { model }, value: age });
	const ending = before.state.phase === "running" && change && endingOf(change);
	if (ending) {
		const labels = { model, ending };
		measured.push({ name: "attempts_total", labels, value: 1 });
		const continues = state.phase === "running" || state.phase === "backoff";
		if (continues && after.tokens > 0) {
			const planned = String(ending === "seam");
			const labels = { model, planned };
			measured.push({ name: "seams_total", labels, value: 1 });
		}
	}
	if (change?.type === "settled") {
		const { status, finishedAt, promptTokens } = state;
		const lag = Math.max(0, now - (finishedAt ?? now)) / 1000;
		measured.push(
			{ name: "jobs_total", labels: { model, status }, value: 1 },
			{ name: "settle_lag_seconds", labels: { model }, value: lag },
			{
				name: "tokens_total",
				labels: { model, kind: "prompt" },
				value: promptTokens ?? 0,
			},
			{
				name: "tokens_total",
				labels: { model, kind: "output" },
				value: after.tokens,
			},
		);
	}
	return measured;
}

/** How the change ended the attempt in progress; null where the attempt continues. */
function endingOf(change: JobChange): string | null {
	switch (change.type) {
		case "finished":
		case "interrupted":
		case "seam":
			return change.type;
		case "failed":
			// A worker may send any code, and a label has few values.
			return BACKEND_FAILURES.has(change.error.code)
				? change.error.code
				: "other";
		case "cancel":
		case "time":
			return "canceled";
		default:
			return null;
	}
}
