/** The edge with three moments held open, so that a test can kill its process just there. */
import type { Outcome, Settlement } from "../../src/account/contract.ts";
import { Account as RealAccount, Job as RealJob } from "../../src/index.ts";
import type { JobSpec, Started } from "../../src/job/contract.ts";

export { default, Endpoint, Metrics, Pool } from "../../src/index.ts";

const HELD_MS = 10_000;
const held = () => new Promise<void>((go) => setTimeout(go, HELD_MS));

export class Job extends RealJob {
	/** Admitted, not claimed. */
	override async start(spec: JobSpec): Promise<Started> {
		const text = JSON.stringify(spec.messages);
		if (text.includes("hold before the claim")) await held();
		return super.start(spec);
	}
}

export class Account extends RealAccount {
	/** Seven tokens: the answer is complete and nothing is debited. Eight: it is debited and the job does not know. */
	override async settle(outcome: Outcome): Promise<Settlement | null> {
		if (outcome.outputTokens === 7) await held();
		const settlement = await super.settle(outcome);
		if (outcome.outputTokens === 8) await held();
		return settlement;
	}
}
