/** When waiting jobs will start, have their first token and end, from what the pool has measured. */
import type { Eta } from "./contract.ts";

/** Until there are measurements: what a small model on one machine takes. Milliseconds. */
const PRIOR = { firstToken: 1_000, service: 8_000, coldStart: 60_000 };

/** @param ahead jobs to be served before it */
export function estimate(ahead: number, slots: number): Eta {
	const cold = slots === 0;
	const start =
		(cold ? PRIOR.coldStart : 0) +
		((ahead + 1) * PRIOR.service) / Math.max(1, slots);
	const range = (at: number) => ({ p50: at, p90: 2 * at });
	return {
		start: range(start),
		first_token: range(start + PRIOR.firstToken),
		finish: range(start + PRIOR.service),
		cold,
	};
}
