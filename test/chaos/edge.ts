/**
 * The edge, with two changes. At named points it asks the harness before it goes on, so that a kill
 * strikes just there; and its account's clock may run ahead.
 */
import type {
	AccountView,
	Admission,
	Admitted,
	CallerResult,
	Credential,
	Outcome,
	Settlement,
} from "../../src/contract/account.ts";
import type { Erased } from "../../src/contract/job.ts";
import type {
	Lease,
	SlotRequest,
	SlotResult,
} from "../../src/contract/pool.ts";
import {
	Account as RealAccount,
	Job as RealJob,
	Pool as RealPool,
} from "../../src/index.ts";
import type { Point } from "./plan.ts";

export { Collector, Directory, default, Endpoint } from "../../src/index.ts";

/** The harness sets both. */
type ChaosEnv = Env & { CHAOS_URL?: string; CHAOS_AHEAD_MS?: string };

/** Goes on when the harness says so; without an answer this process is about to die. */
async function at(
	env: ChaosEnv,
	point: Point,
	job: string,
	key: string | null = null,
): Promise<void> {
	if (!env.CHAOS_URL) return;
	const body = JSON.stringify({ point, job, key });
	await fetch(`${env.CHAOS_URL}/at`, { method: "POST", body }).catch(() => {});
}

const STEP_MS = 60_000;
const ahead = (env: ChaosEnv): number => Number(env.CHAOS_AHEAD_MS ?? 0);

export class Account extends RealAccount {
	#ahead = ahead(this.env);
	override clock = () => Date.now() + this.#ahead;

	override async admit(admission: Admission): Promise<Admitted> {
		const admitted = await super.admit(admission);
		if (admitted.ok)
			await at(this.env, "admitted", admitted.jobId, admission.idempotencyKey);
		return admitted;
	}

	override async settle(outcome: Outcome): Promise<Settlement | null> {
		await at(this.env, "answered", outcome.jobId);
		const settlement = await super.settle(outcome);
		await at(this.env, "settled", outcome.jobId);
		return settlement;
	}

	/** A clock that was moved rings no alarm. It moves further, for what must happen twice. */
	override async showTo(
		credential: Credential,
	): Promise<CallerResult<{ account: AccountView }>> {
		if (this.#ahead > 0) {
			this.#ahead += STEP_MS;
			await this.alarm();
		}
		return super.showTo(credential);
	}
}

export class Pool extends RealPool {
	override async acquire(ask: SlotRequest): Promise<SlotResult> {
		const id = ask.job.slice(ask.job.indexOf("/") + 1);
		if (!ask.resumed) await at(this.env, "claimed", id);
		const acquired = await super.acquire(ask);
		if (acquired.status === "granted") await at(this.env, "leased", id);
		return acquired;
	}
}

export class Job extends RealJob {
	/** The name's second half: `<account>/<job id>`. */
	get #id(): string {
		const { name = "" } = this.ctx.id;
		return name.slice(name.indexOf("/") + 1);
	}

	override async granted(lease: Lease): Promise<boolean> {
		await at(this.env, "leased", this.#id);
		return super.granted(lease);
	}

	override async erase(): Promise<Erased> {
		const erased = await super.erase();
		if (erased === "erased") await at(this.env, "erased", this.#id);
		return erased;
	}
}
