/** A pool's workers: the configured addresses, each worker's last answer, and the probes. */
import type { ProbeResult } from "../backends/worker.ts";
import { logLine } from "../log.ts";
import type { Address } from "../models.ts";
import { afterProbe, isStale, unprobedWorker, type Worker } from "./fleet.ts";

export interface WorkersContext {
	model: () => string | null;
	/** Where the model is served; none once it is not configured any more. */
	addresses: () => readonly Address[];
	/** Never throws. */
	probe: (address: Address) => Promise<ProbeResult>;
	clock: () => number;
	/** A worker answered. */
	onAnswer: (before: Worker, after: Worker) => void;
}

export class Workers {
	readonly #byUrl = new Map<string, Worker>();
	/** Probes under way, by URL. */
	readonly #probes = new Map<string, Promise<void>>();
	readonly #context: WorkersContext;
	/** The slots that each worker had when it last answered a former instance. */
	readonly #slots: ReadonlyMap<string, number>;

	constructor(slots: ReadonlyMap<string, number>, context: WorkersContext) {
		this.#slots = slots;
		this.#context = context;
	}

	/**
	 * All of them, in the order of the configuration. Their answers are not stored: a fresh instance
	 * probes again.
	 */
	all(): Worker[] {
		return this.#context.addresses().map(({ url }) => {
			const probed = this.#byUrl.get(url);
			if (probed) return probed;
			const worker = unprobedWorker(url, this.#slots.get(url) ?? 0);
			this.#byUrl.set(url, worker);
			return worker;
		});
	}

	get(url: string): Worker | null {
		return this.all().find((worker) => worker.url === url) ?? null;
	}

	set(worker: Worker): void {
		const before = this.#byUrl.get(worker.url);
		this.#byUrl.set(worker.url, worker);
		if (!before || loggedState(before) !== loggedState(worker))
			logLine("worker", {
				model: this.#context.model(),
				origin: new URL(worker.url).origin,
				state: loggedState(worker),
				slots: worker.slots,
			});
	}

	/** Whether any worker takes jobs, by an answer that is recent enough to trust. */
	anyReady(): boolean {
		const now = this.#context.clock();
		return this.all().some(
			(worker) => worker.state === "ready" && !isStale(worker, now),
		);
	}

	/** Probes these workers. Calls that come while a probe is under way share its answer. */
	async probe(workers: readonly Worker[]): Promise<void> {
		await Promise.all(workers.map(({ url }) => this.#probeOnce(url)));
	}

	/** Probes these workers, and returns as soon as one is ready: others may take long to answer. */
	async probeUntilReady(workers: readonly Worker[]): Promise<void> {
		const ready = workers.map(async ({ url }) => {
			await this.#probeOnce(url);
			if (this.get(url)?.state !== "ready") throw new Error("not ready");
		});
		await Promise.any(ready).catch(() => {});
	}

	#probeOnce(url: string): Promise<void> {
		const underWay = this.#probes.get(url);
		if (underWay) return underWay;
		const probe = this.#probe(url)
			.catch((error) => logLine("probe_failed", { cause: String(error) }))
			.finally(() => this.#probes.delete(url));
		this.#probes.set(url, probe);
		return probe;
	}

	async #probe(url: string): Promise<void> {
		const { addresses, probe, model, clock, onAnswer } = this.#context;
		const address = addresses().find((address) => address.url === url);
		if (!address) return;
		const probed = await probe(address);
		const served = model();
		const before = this.#byUrl.get(url);
		if (!before || !served) return;
		const after = afterProbe(before, probed, served, clock());
		this.set(after);
		if (
			probed.status === "ready" &&
			after.state === "mistaken" &&
			before.state !== "mistaken"
		)
			logLine("worker_of_another_model", {
				model: served,
				serves: probed.model,
			});
		onAnswer(before, after);
	}
}

const loggedState = ({ state, breaker }: Worker) =>
	breaker.openUntil === null ? state : "broken";
