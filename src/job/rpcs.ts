/** A Job's RPCs to the Account and the Pool. It counts them, and returns null where one fails. */

import type { Outcome, Settlement } from "../contract/account.ts";
import type { JobSpec } from "../contract/job.ts";
import type {
	AttemptTimes,
	HeartbeatResult,
	Lease,
	QueuePlace,
	ReleaseReason,
	SlotRequest,
	SlotResult,
} from "../contract/pool.ts";
import { logLine } from "../log.ts";
import { accountOf, jobName, poolOf } from "../objects.ts";

export class Rpcs {
	/** RPCs that this instance made. */
	count = 0;
	readonly #env: Env;

	constructor(env: Env) {
		this.#env = env;
	}

	/** Requests a slot. A repeat keeps the slot or the place in the queue. */
	acquire(
		spec: JobSpec,
		request: Pick<SlotRequest, "resumed" | "tokens" | "avoid">,
	): Promise<SlotResult | null> {
		const { model, account } = spec;
		return this.#call(async () =>
			this.#pool(spec).acquire({
				model,
				account,
				job: jobNameOf(spec),
				...request,
			}),
		);
	}

	/** The job's place in the queue; null where it does not wait, or the Pool does not answer. */
	place(spec: JobSpec): Promise<QueuePlace | null> {
		return this.#call(async () => this.#pool(spec).place(jobNameOf(spec)));
	}

	heartbeat(spec: JobSpec, lease: Lease): Promise<HeartbeatResult | null> {
		return this.#call(async () =>
			this.#pool(spec).heartbeat(jobNameOf(spec), lease.epoch),
		);
	}

	/** @param times null for an attempt that must not count in the Pool's estimates */
	async release(
		spec: JobSpec,
		lease: Lease,
		reason: ReleaseReason,
		times: AttemptTimes | null,
	): Promise<void> {
		// Where this call fails, the Pool frees the slot when the lease ends.
		await this.#call(async () =>
			this.#pool(spec).release(jobNameOf(spec), lease.epoch, reason, times),
		);
	}

	/** Leaves the queue, or gives back a slot that was granted meanwhile. */
	async leave(spec: JobSpec): Promise<void> {
		await this.#call(async () => this.#pool(spec).leave(jobNameOf(spec)));
	}

	settle(spec: JobSpec, outcome: Outcome): Promise<Settlement | null> {
		return this.#call(async () =>
			accountOf(this.#env, spec.account).settle(outcome),
		);
	}

	#pool(spec: JobSpec) {
		return poolOf(this.#env, spec.model);
	}

	async #call<T>(rpc: () => Promise<T>): Promise<T | null> {
		this.count++;
		try {
			return await rpc();
		} catch (error) {
			logLine("rpc_failed", { object: "job", cause: String(error) });
			return null;
		}
	}
}

const jobNameOf = ({ account, id }: JobSpec) => jobName(account, id);
