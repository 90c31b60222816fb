/**
 * The edge with three moments held open for as long as the test says, so that it can kill the
 * process just there.
 */
import type { Outcome, Settlement } from "../../src/contract/account.ts";
import type { JobSpec, Started } from "../../src/contract/job.ts";
import { Account as RealAccount, Job as RealJob } from "../../src/index.ts";

export {
	Collector,
	Directory,
	default,
	Endpoint,
	Pool,
} from "../../src/index.ts";

/** Answered once the test lets go. */
const held = async ({ HOLD_URL }: Env & { HOLD_URL?: string }) =>
	void (await fetch(String(HOLD_URL))).body?.cancel();

export class Job extends RealJob {
	/** Admitted, not claimed. */
	override async start(spec: JobSpec): Promise<Started> {
		const text = JSON.stringify(spec.messages);
		if (text.includes("hold before the claim")) await held(this.env);
		return super.start(spec);
	}
}

export class Account extends RealAccount {
	/**
	 * Seven tokens: the answer is complete and nothing is debited. Eight: it is debited and the job
	 * does not know.
	 */
	override async settle(outcome: Outcome): Promise<Settlement | null> {
		const output = outcome.parts.find(({ item }) => item === "output_tokens");
		if (output?.quantity === 7) await held(this.env);
		const settlement = await super.settle(outcome);
		if (output?.quantity === 8) await held(this.env);
		return settlement;
	}
}
