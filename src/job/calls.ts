/** A Job's calls to the Account and the Pool, counted. A call that fails answers null. */

import type { Outcome, Settlement } from "../contract/account.ts";
import type { JobSpec } from "../contract/job.ts";
import type {
	AttemptTimes,
	HeartbeatAnswer,
	Lease,
	QueuePlace,
	Released,
	SlotAnswer,
	SlotRequest,
} from "../contract/pool.ts";
import { log } from "../log.ts";
import { accountOf, jobName, poolOf } from "../objects.ts";

export class Calls {
	/** Calls made by this instance. */
	count = 0;
	readonly #env: Env;

	constructor(env: Env) {
		this.#env = env;
	}

	/** Asks for a slot; asked again, it keeps what it has. */
	acquire(
		spec: JobSpec,
		ask: Pick<SlotRequest, "resumed" | "tokens" | "avoid">,
	): Promise<SlotAnswer | null> {
		const { model, account } = spec;
		return this.#call(async () =>
			this.#pool(spec).acquire({ model, account, job: name(spec), ...ask }),
		);
	}

	/** Where it stands in the queue now; null also where it does not wait. */
	place(spec: JobSpec): Promise<QueuePlace | null> {
		return this.#call(async () => this.#pool(spec).place(name(spec)));
	}

	heartbeat(spec: JobSpec, lease: Lease): Promise<HeartbeatAnswer | null> {
		return this.#call(async () =>
			this.#pool(spec).heartbeat(name(spec), lease.epoch),
		);
	}

	/** @param measured null where the attempt says nothing of how long one takes */
	async release(
		spec: JobSpec,
		lease: Lease,
		why: Released,
		measured: AttemptTimes | null,
	): Promise<void> {
		// A release that is lost costs no more than the lease's time.
		await this.#call(async () =>
			this.#pool(spec).release(name(spec), lease.epoch, why, measured),
		);
	}

	/** Out of the queue, or gives up a lease that was granted meanwhile. */
	async leave(spec: JobSpec): Promise<void> {
		await this.#call(async () => this.#pool(spec).leave(name(spec)));
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
			log("rpc_failed", { object: "job", cause: String(error) });
			return null;
		}
	}
}

const name = ({ account, id }: JobSpec) => jobName(account, id);
