/** A pool's workers: as configured, as they were last heard of, and the asking. */

import type { Probed } from "../backends/worker.ts";
import { log } from "../log.ts";
import type { Address } from "../models.ts";
import { afterProbe, isStale, unprobed, type Worker } from "./fleet.ts";

export interface WorkersContext {
	model: () => string | null;
	/** Where the model is served, if it still is. */
	addresses: () => readonly Address[];
	/** Never throws. */
	probe: (address: Address) => Promise<Probed>;
	clock: () => number;
	/** A worker answered; `now` is what is known of it since. */
	onAnswer: (before: Worker, now: Worker) => void;
}

export class Workers {
	readonly #known = new Map<string, Worker>();
	readonly #probes = new Map<string, Promise<void>>();
	readonly #around: WorkersContext;
	/** Slots of each when it was last ready, from before. */
	readonly #slots: ReadonlyMap<string, number>;

	constructor(slots: ReadonlyMap<string, number>, around: WorkersContext) {
		this.#slots = slots;
		this.#around = around;
	}

	/** All, in the order of the configuration. What they say is not stored: a fresh instance asks anew. */
	all(): Worker[] {
		return this.#around.addresses().map(({ url }) => {
			const known = this.#known.get(url);
			if (known) return known;
			const worker = unprobed(url, this.#slots.get(url) ?? 0);
			this.#known.set(url, worker);
			return worker;
		});
	}

	get(url: string): Worker | null {
		return this.all().find((worker) => worker.url === url) ?? null;
	}

	set(worker: Worker): void {
		const before = this.#known.get(worker.url);
		this.#known.set(worker.url, worker);
		if (!before || tellableOf(before) !== tellableOf(worker))
			log("worker", {
				model: this.#around.model(),
				origin: new URL(worker.url).origin,
				state: tellableOf(worker),
				slots: worker.slots,
			});
	}

	/** Whether any takes jobs, and was heard of of late. */
	up(): boolean {
		const now = this.#around.clock();
		return this.all().some(
			(worker) => worker.state === "ready" && !isStale(worker, now),
		);
	}

	/** Asks these how they are; calls that come meanwhile share the answers. */
	async ask(which: readonly Worker[]): Promise<void> {
		await Promise.all(which.map(({ url }) => this.#asked(url)));
	}

	/** The same, until the first is ready: others may take long to answer. */
	async askForOne(which: readonly Worker[]): Promise<void> {
		const ready = which.map(async ({ url }) => {
			await this.#asked(url);
			if (this.get(url)?.state !== "ready") throw new Error("not ready");
		});
		await Promise.any(ready).catch(() => {});
	}

	#asked(url: string): Promise<void> {
		const probing = this.#probes.get(url);
		if (probing) return probing;
		const probe = this.#probe(url)
			.catch((error) => log("probe_failed", { cause: String(error) }))
			.finally(() => this.#probes.delete(url));
		this.#probes.set(url, probe);
		return probe;
	}

	async #probe(url: string): Promise<void> {
		const { addresses, probe, model, clock, onAnswer } = this.#around;
		const address = addresses().find((address) => address.url === url);
		if (!address) return;
		const probed = await probe(address);
		const served = model();
		const before = this.#known.get(url);
		if (!before || !served) return;
		const now = afterProbe(before, probed, served, clock());
		this.set(now);
		if (probed.status === "ready" && now.state === "mistaken")
			if (before.state !== "mistaken")
				log("worker_of_another_model", { model: served, serves: probed.model });
		onAnswer(before, now);
	}
}

const tellableOf = ({ state, breaker }: Worker) =>
	breaker.openUntil === null ? state : "broken";
