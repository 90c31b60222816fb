/** A Job's calls to the Account and the Pool, counted. A call that fails answers null and is tried again by alarm. */
import type { Outcome, Settlement } from "../account/contract.ts";
import type { Env } from "../env.ts";
import { log } from "../log.ts";
import type { Acquired, Lease, Released } from "../pool/contract.ts";
import type { JobSpec } from "./contract.ts";

export class Calls {
	/** Calls made by this instance. */
	count = 0;
	readonly #env: Env;
	readonly #onFailure: () => void;

	constructor(env: Env, onFailure: () => void) {
		this.#env = env;
		this.#onFailure = onFailure;
	}

	acquire(spec: JobSpec, resumed: boolean): Promise<Acquired | null> {
		return this.#call(async () =>
			this.#pool(spec).acquire(spec.model, name(spec), resumed),
		);
	}

	heartbeat(
		spec: JobSpec,
		lease: Lease,
	): Promise<{ held: boolean; running: number } | null> {
		return this.#call(async () =>
			this.#pool(spec).heartbeat(name(spec), lease.epoch),
		);
	}

	async release(spec: JobSpec, lease: Lease, why: Released): Promise<void> {
		// A release that is lost costs no more than the lease's time.
		await this.#call(async () =>
			this.#pool(spec).release(name(spec), lease.epoch, why),
		);
	}

	settle(spec: JobSpec, outcome: Outcome): Promise<Settlement | null> {
		const { ACCOUNT } = this.#env;
		return this.#call(async () =>
			ACCOUNT.get(ACCOUNT.idFromName(spec.account)).settle(outcome),
		);
	}

	#pool(spec: JobSpec) {
		const { POOL } = this.#env;
		return POOL.get(POOL.idFromName(spec.model));
	}

	async #call<T>(rpc: () => Promise<T>): Promise<T | null> {
		this.count++;
		try {
			return await rpc();
		} catch (error) {
			log("rpc_failed", { object: "job", cause: String(error) });
			this.#onFailure();
			return null;
		}
	}
}

const name = (spec: JobSpec) => `${spec.account}/${spec.id}`;
