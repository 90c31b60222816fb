/**
 * What holds of a pool whatever happens: the real object, under a clock of its own, through any
 * order of events and deaths.
 */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { expect, it } from "vitest";
import type { ProbeResult } from "../../src/backends/worker.ts";
import type { Lease, ReleaseReason } from "../../src/contract/pool.ts";
import type { WorkerAddress } from "../../src/models.ts";
import { LEASE_MS, type Pool } from "../../src/pool/pool.ts";
import { bindings } from "../support/account.ts";

const SLOTS: Record<string, number> = {
	"http://a.test": 1,
	"http://b.test": 2,
	"http://c.test": 3,
};
const urls = Object.keys(SLOTS);

const job = fc
	.tuple(fc.nat({ max: 3 }), fc.nat({ max: 4 }))
	.map(([account, n]) => `account-${account}/${n}`);
const event = fc.oneof(
	{
		weight: 6,
		arbitrary: fc.record({
			type: fc.constant("acquire" as const),
			job,
			resumed: fc.boolean(),
			avoid: fc.option(fc.constantFrom(...urls)),
		}),
	},
	{
		weight: 4,
		arbitrary: fc.record({
			type: fc.constant("release" as const),
			job,
			why: fc.constantFrom<ReleaseReason>(
				"finished",
				"finished",
				"failed",
				"down",
			),
		}),
	},
	fc.record({ type: fc.constant("beat" as const), job }),
	fc.record({ type: fc.constant("leave" as const), job }),
	fc.record({
		type: fc.constant("worker" as const),
		url: fc.constantFrom(...urls),
		status: fc.constantFrom("ready", "ready", "starting", "draining", "away"),
	}),
	// A job that has no use for a slot, or cannot be reached, when the pool calls.
	fc.record({
		type: fc.constant("mood" as const),
		job,
		mood: fc.constantFrom("takes", "refuses", "dead"),
	}),
	{
		weight: 3,
		arbitrary: fc.record({
			type: fc.constant("wait" as const),
			ms: fc.constantFrom(10, 1_000, 6_000, 40_000),
		}),
	},
	fc.record({ type: fc.constant("restart" as const) }),
);
type Happening = typeof event extends fc.Arbitrary<infer E> ? E : never;

let pools = 0;

class World {
	readonly stub = bindings.POOL.get(bindings.POOL.idFromName(`any-${pools++}`));
	now = Date.UTC(2100, 0);
	readonly states = new Map(urls.map((url) => [url, "ready"]));
	readonly moods = new Map<string, string>();
	/** As the jobs know it; a job that died or lost its lease may still think that it holds one. */
	readonly leases = new Map<string, Lease>();
	readonly epochs = new Set<number>();

	async play(events: readonly Happening[]): Promise<void> {
		await this.inside(() => {});
		for (const event of events) {
			if (event.type === "restart") await evictDurableObject(this.stub);
			else await this.inside((pool) => this.happen(pool, event));
			await this.inside((_, storage) => this.check(storage));
		}
	}

	inside<T>(
		look: (pool: Pool, storage: DurableObjectStorage) => T | Promise<T>,
	): Promise<T> {
		return runInDurableObject(this.stub, async (pool: Pool, { storage }) => {
			const WORKERS = { nano: { url: urls } };
			Object.defineProperty(pool, "env", { value: { ...bindings, WORKERS } });
			pool.clock = () => this.now;
			pool.probe = async (address) => this.probed(address as WorkerAddress);
			pool.grantTo = async (job, lease) => {
				this.granted(job, lease);
				if (this.moods.get(job) === "dead") throw new Error("unreachable");
				return this.moods.get(job) !== "refuses";
			};
			return look(pool, storage);
		});
	}

	probed({ url }: WorkerAddress): ProbeResult {
		const status = this.states.get(url);
		if (status === "starting" || status === "draining") return { status };
		if (status !== "ready") return { status: "away" };
		const slots = SLOTS[url] as number;
		return { status, model: "nano", digest: "d", slots };
	}

	/** Every grant has an epoch of its own; told again, it is the same. */
	granted(job: string, lease: Lease): void {
		const before = this.leases.get(job)?.epoch;
		if (before === lease.epoch) return;
		expect(this.epochs.has(lease.epoch)).toBe(false);
		expect(lease.epoch).toBeGreaterThan(before ?? 0);
		this.epochs.add(lease.epoch);
		this.leases.set(job, lease);
	}

	async happen(pool: Pool, event: Happening): Promise<void> {
		switch (event.type) {
			case "acquire": {
				const { job, resumed, avoid } = event;
				const account = job.split("/")[0] as string;
				const asked = { model: "nano", job, account, resumed, avoid };
				const answer = await pool.acquire({ ...asked, tokens: 100 });
				if (answer.status === "granted") this.granted(job, answer.lease);
				else expect(answer.position).toBeGreaterThan(0);
				return;
			}
			case "release": {
				const { epoch } = this.leases.get(event.job) ?? { epoch: 0 };
				return pool.release(event.job, epoch, event.why, null);
			}
			case "beat": {
				const { epoch } = this.leases.get(event.job) ?? { epoch: 0 };
				await pool.heartbeat(event.job, epoch);
				return;
			}
			case "leave":
				return pool.leave(event.job);
			case "worker":
				this.states.set(event.url, event.status);
				return;
			case "mood":
				this.moods.set(event.job, event.mood);
				return;
			case "wait":
				this.now += event.ms;
				await pool.alarm();
		}
	}

	check({ sql }: DurableObjectStorage): void {
		const rows = <T extends Record<string, SqlStorageValue>>(query: string) =>
			sql.exec<T>(query).toArray();
		for (const { url, n } of rows<{ url: string; n: number }>(
			"SELECT url, count(*) AS n FROM lease GROUP BY url",
		))
			expect(n).toBeLessThanOrEqual(SLOTS[url] as number);
		const known = rows<{ job: string }>(
			"SELECT job FROM lease UNION ALL SELECT job FROM queue",
		).map(({ job }) => job);
		expect(new Set(known).size).toBe(known.length);
	}

	/** Once all is well and everybody answers, whoever waits gets a slot, and nothing is left. */
	async drain(): Promise<void> {
		for (const url of urls) this.states.set(url, "ready");
		this.moods.clear();
		for (let round = 0; round < 60; round++) {
			this.now += 1_000;
			const left = await this.inside(async (pool) => {
				await pool.alarm();
				for (const [job, { epoch }] of this.leases)
					await pool.release(job, epoch, "finished", null);
				// A lease whose holder never heard of it ends by itself.
				if (round === 30) this.now += LEASE_MS;
				const { running, waiting } = await pool.load("nano");
				return running + waiting;
			});
			await this.inside((_, storage) => this.check(storage));
			if (left === 0) return;
		}
		throw new Error("somebody still waits, or holds a slot");
	}
}

it("whatever happens: leases within slots, each job once, new epochs, all served", async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.array(event, { maxLength: 80, size: "max" }),
			async (events) => {
				const world = new World();
				await world.play(events);
				await world.drain();
				const left = await world.inside((_, { sql }) => [
					sql.exec("SELECT * FROM lease").toArray(),
					sql.exec("SELECT * FROM queue").toArray(),
				]);
				expect(left).toEqual([[], []]);
			},
		),
		{ numRuns: 25 },
	);
}, 120_000);
