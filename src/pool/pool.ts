/**
 * One object per model: leases on the slots of its worker, and a queue for the jobs that found none free. Jobs wait
 * passively and are called when granted; the pool probes the worker only while somebody waits.
 */
import { DurableObject } from "cloudflare:workers";
import {
	probe,
	type Readiness,
	type WorkerAddress,
} from "../backends/worker.ts";
import { config, type Env } from "../env.ts";
import { log } from "../log.ts";
import { migrate } from "../migrate.ts";
import type {
	Acquired,
	Ask,
	Beat,
	Lease,
	Load,
	Measured,
	Place,
	Released,
	Waiting,
} from "./contract.ts";
import {
	alarmAt,
	grantable,
	LEASE_MS,
	mustProbe,
	type Worker,
} from "./decide.ts";
import { estimate } from "./eta.ts";
import { STEPS } from "./schema.ts";

const END = "DELETE FROM lease WHERE job = ? RETURNING epoch";

export class Pool extends DurableObject<Env> {
	/** Milliseconds since 1970; tests move it. */
	clock = (): number => Date.now();
	readonly #sql: SqlStorage;
	/** Known from the first job on. */
	#model: string | null = null;
	/** Not stored: a fresh instance asks anew. */
	#worker: Worker | null = null;
	/** The other model that our worker was last seen to serve. */
	#mistaken: string | null = null;
	#probing: Promise<void> | null = null;

	constructor(ctx: DurableObjectState, env: Env) {
		super(ctx, env);
		this.#sql = ctx.storage.sql;
		ctx.storage.transactionSync(() => migrate(this.#sql, STEPS));
		this.#model =
			this.#sql.exec<{ model: string }>("SELECT model FROM pool").toArray()[0]
				?.model ?? null;
	}

	/**
	 * A slot for a job of this pool's model, or a place in the queue. Asked again, a job keeps what it has. A resumed
	 * job goes to the head.
	 */
	async acquire({ model, job, resumed }: Ask): Promise<Acquired> {
		if (!this.#model) {
			this.#sql.exec("INSERT INTO pool (model) VALUES (?)", model);
			this.#model = model;
		}
		const renewed = this.#sql.exec(
			"UPDATE lease SET expires_at = ? WHERE job = ? RETURNING epoch",
			this.clock() + LEASE_MS,
			job,
		);
		if (renewed.toArray().length === 0) this.#enqueue(job, resumed);
		await this.#arm();
		if (mustProbe(this.#worker, this.clock())) await this.#probe();
		if (!this.#worker?.ready) {
			// A lease on a worker that is away is worth nothing.
			if (this.#sql.exec(END, job).toArray().length > 0)
				this.#enqueue(job, true);
			await this.#arm();
			return this.#queued("provisioning", job);
		}
		this.#announce(this.#grant().filter((grant) => grant.job !== job));
		const lease = this.#leaseOf(job);
		return lease ? { answer: "granted", lease } : this.#queued("queued", job);
	}

	/** Where a job stands in the queue, or null where it does not wait. */
	async place(job: string): Promise<Place | null> {
		const waits = this.#sql
			.exec("SELECT 1 FROM queue WHERE job = ?", job)
			.toArray();
		return waits.length > 0 ? this.#placeOf(job) : null;
	}

	/** Takes a job out of the queue, or its lease back. Repeating it changes nothing. */
	async leave(job: string): Promise<void> {
		this.#sql.exec("DELETE FROM queue WHERE job = ?", job);
		if (this.#sql.exec(END, job).toArray().length > 0)
			this.#announce(this.#grant());
		await this.#arm();
	}

	/** How busy the pool is, for operators and their autoscaler. */
	async load(): Promise<Load> {
		const worker = this.#worker;
		const slots = worker?.ready ? worker.slots : 0;
		const waiting = this.#waiting();
		return {
			running: this.#leased(),
			waiting,
			ready_slots: slots,
			queued_seconds_per_slot:
				waiting === 0
					? 0
					: (estimate(waiting - 1, slots).finish.p50 -
							estimate(0, slots).start.p50) /
						1000,
			workers: [
				{
					origin: new URL(this.#address()?.url ?? "http://none").origin,
					state: worker ? (worker.ready ? "ready" : "away") : "unknown",
					slots,
					running: this.#leased(),
				},
			],
		};
	}

	/** Keeps a lease. */
	async heartbeat(job: string, epoch: number): Promise<Beat> {
		const held = this.#sql.exec(
			"UPDATE lease SET expires_at = ? WHERE job = ? AND epoch = ? RETURNING epoch",
			this.clock() + LEASE_MS,
			job,
			epoch,
		);
		return { held: held.toArray().length > 0, running: this.#leased() };
	}

	/** Gives a slot back; whoever waits gets it. */
	async release(
		job: string,
		epoch: number,
		why: Released,
		_measured: Measured | null,
	): Promise<void> {
		this.#sql.exec("DELETE FROM lease WHERE job = ? AND epoch = ?", job, epoch);
		if (this.#worker) {
			const worker = this.#worker;
			if (why === "finished") worker.seenAt = this.clock();
			else worker.seenAt = 0;
			if (why === "down") worker.ready = false;
		}
		this.#announce(this.#grant());
		await this.#arm();
	}

	override async alarm(): Promise<void> {
		try {
			this.#sql.exec("DELETE FROM lease WHERE expires_at <= ?", this.clock());
			if (this.#waiting() > 0) await this.#probe();
			this.#announce(this.#grant());
		} catch (error) {
			log("alarm_failed", { object: "pool", cause: String(error) });
		} finally {
			await this.#arm();
		}
	}

	/** Asks the worker how it is; calls that come meanwhile share the answer. */
	#probe(): Promise<void> {
		this.#probing ??= (async () => {
			const address = this.#address();
			const seen = address && (await probe(address));
			const ready = seen && this.#isOurs(seen) ? seen : null;
			if (Boolean(ready) !== Boolean(this.#worker?.ready))
				log("worker", {
					model: this.#model,
					ready: Boolean(ready),
					slots: ready?.slots ?? 0,
				});
			this.#worker = ready
				? { ...ready, ready: true, seenAt: this.clock() }
				: this.#worker && { ...this.#worker, ready: false };
		})().finally(() => {
			this.#probing = null;
		});
		return this.#probing;
	}

	/** A worker of another model would answer, wrongly. Told once, since the probes repeat. */
	#isOurs({ model }: Readiness): boolean {
		const mistaken = model === this.#model ? null : model;
		if (mistaken && mistaken !== this.#mistaken)
			log("worker_of_another_model", { model: this.#model, serves: mistaken });
		this.#mistaken = mistaken;
		return !mistaken;
	}

	/** Where this model is served, if it still is. */
	#address(): WorkerAddress | null {
		const { models } = config(this.env);
		return (this.#model && models.get(this.#model)?.workers[0]) || null;
	}

	/** Moves jobs from the head of the queue to free slots. */
	#grant(): { job: string; lease: Lease }[] {
		const worker = this.#worker;
		const count = grantable({
			worker,
			leased: this.#leased(),
			waiting: this.#waiting(),
		});
		if (!worker || count === 0) return [];
		const expires = this.clock() + LEASE_MS;
		return this.ctx.storage.transactionSync(() =>
			this.#sql
				.exec<{ job: string }>(
					"SELECT job FROM queue ORDER BY place LIMIT ?",
					count,
				)
				.toArray()
				.map(({ job }) => {
					this.#sql.exec("DELETE FROM queue WHERE job = ?", job);
					this.#sql.exec(
						"INSERT INTO lease (job, expires_at) VALUES (?, ?)",
						job,
						expires,
					);
					return { job, lease: this.#leaseOf(job) as Lease };
				}),
		);
	}

	/** Calls the jobs that were granted a slot while they waited. Nobody waits for their answers. */
	#announce(granted: { job: string; lease: Lease }[]): void {
		for (const { job, lease } of granted)
			this.ctx.waitUntil(this.#call(job, lease));
	}

	async #call(job: string, lease: Lease): Promise<void> {
		try {
			const stub = this.env.JOB.get(this.env.JOB.idFromName(job));
			if (await stub.granted(lease)) return;
			this.#free(job, lease.epoch);
			this.#announce(this.#grant());
		} catch (error) {
			// To the end of the queue, until the alarm: a job that cannot be reached must neither hold up the others nor spin.
			log("grant_failed", { job, cause: String(error) });
			if (this.#free(job, lease.epoch)) this.#enqueue(job, false);
		}
		await this.#arm();
	}

	/** @returns whether that lease was still there */
	#free(job: string, epoch: number): boolean {
		const ended = this.#sql.exec(
			"DELETE FROM lease WHERE job = ? AND epoch = ? RETURNING epoch",
			job,
			epoch,
		);
		return ended.toArray().length > 0;
	}

	#enqueue(job: string, first: boolean): void {
		this.#sql.exec(
			first
				? "INSERT OR IGNORE INTO queue (place, job) SELECT coalesce(min(place), 0) - 1, ? FROM queue"
				: "INSERT OR IGNORE INTO queue (job) VALUES (?)",
			job,
		);
	}

	#queued(answer: Waiting, job: string): Acquired {
		return { answer, ...this.#placeOf(job) };
	}

	#placeOf(job: string): Place {
		const { n } = this.#sql
			.exec<{ n: number }>(
				"SELECT count(*) AS n FROM queue WHERE place < (SELECT place FROM queue WHERE job = ?)",
				job,
			)
			.one();
		const slots = this.#worker?.ready ? this.#worker.slots : 0;
		return { position: n + 1, eta: estimate(n, slots) };
	}

	#leaseOf(job: string): Lease | null {
		const row = this.#sql
			.exec<{ epoch: number }>("SELECT epoch FROM lease WHERE job = ?", job)
			.toArray()[0];
		if (!row) return null;
		return {
			epoch: row.epoch,
			url: this.#address()?.url ?? "",
			digest: this.#worker?.digest ?? "",
			running: this.#leased(),
		};
	}

	#leased(): number {
		return this.#sql
			.exec<{ n: number }>("SELECT count(*) AS n FROM lease")
			.one().n;
	}

	#waiting(): number {
		return this.#sql
			.exec<{ n: number }>("SELECT count(*) AS n FROM queue")
			.one().n;
	}

	/** Never moves the alarm further away: what it finds to do when it fires, it decides then. */
	async #arm(): Promise<void> {
		const expiry = this.#sql
			.exec<{ at: number | null }>("SELECT min(expires_at) AS at FROM lease")
			.one().at;
		const next = alarmAt(this.#waiting(), expiry, this.clock());
		const armed = await this.ctx.storage.getAlarm();
		if (next !== null && (armed === null || next < armed))
			await this.ctx.storage.setAlarm(next);
	}
}
