/** What a step of a job's life is worth counting: pure, from the job before it and after it. */

import type { JobSpec } from "../contract/job.ts";
import type { Measurement } from "../metrics/catalog.ts";
import type { JobChange, JobState } from "./state.ts";

/** What is looked at. */
export interface JobSnapshot {
	state: JobState;
	/** In the log. */
	tokens: number;
}

/** Failures by which attempts are told apart; a backend may know others. */
const FAILURES = new Set([
	"unauthorized",
	"invalid_request",
	"model_not_found",
	"context_length_exceeded",
	"image_undecodable",
	"image_unavailable",
	"body_too_large",
	"overloaded",
	"draining",
	"starting",
	"engine_failed",
	"unreachable",
	"broken_stream",
	"silent",
	"backend_failed",
]);

/**
 * @param change null for tokens that came in the middle of an attempt
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
	const one = { value: 1 };
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
		measured.push({ name: "attempts_total", labels, ...one });
		const goesOn = state.phase === "running" || state.phase === "backoff";
		if (goesOn && after.tokens > 0) {
			const planned = String(ending === "seam");
			const labels = { model, planned };
			measured.push({ name: "seams_total", labels, ...one });
		}
	}
	if (change?.type === "settled") {
		const { status, finishedAt, promptTokens } = state;
		const lag = Math.max(0, now - (finishedAt ?? now)) / 1000;
		measured.push(
			{ name: "jobs_total", labels: { model, status }, ...one },
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

/** How an attempt that was in progress ended by this; null where it went on. */
function endingOf(change: JobChange): string | null {
	switch (change.type) {
		case "finished":
		case "interrupted":
		case "seam":
			return change.type;
		case "failed":
			return FAILURES.has(change.error.code) ? change.error.code : "other";
		case "cancel":
		case "time":
			return "canceled";
		default:
			return null;
	}
}
