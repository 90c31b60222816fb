import {
	evictDurableObject,
	runDurableObjectAlarm,
	runInDurableObject,
} from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import type { Ask } from "../../src/pool/contract.ts";
import { LEASE_MS } from "../../src/pool/decide.ts";
import type { Pool } from "../../src/pool/pool.ts";
import { bindings } from "../support/account.ts";
import { fakeWorker } from "../support/jobs.ts";

let pools = 0;
function newPool(): DurableObjectStub<Pool> {
	pools++;
	return bindings.POOL.get(bindings.POOL.idFromName(`pool-${pools}`));
}

const ask = (job: string, part: Partial<Ask> = {}): Ask => ({
	model: "nano",
	job,
	account: job.split("/")[0] as string,
	resumed: false,
	tokens: 300,
	avoid: null,
	...part,
});

/** Notes whom the pool calls, in the Job's place. */
const callsTo = async (
	pool: DurableObjectStub<Pool>,
	answer: (job: string) => boolean = () => true,
) => {
	const called: string[] = [];
	await runInDurableObject(pool, (object: Pool) => {
		const JOB = {
			idFromName: (name: string) => name,
			get: (name: string) => ({
				granted: async () => {
					called.push(name);
					return answer(name);
				},
			}),
		};
		Object.defineProperty(object, "env", { value: { ...bindings, JOB } });
	});
	return called;
};

const moveClock = (pool: DurableObjectStub<Pool>, ms: number) =>
	runInDurableObject(pool, (object: Pool) => {
		object.clock = () => Date.now() + ms;
	});

const alarm = (pool: DurableObjectStub<Pool>) =>
	runInDurableObject(pool, (_, state) => state.storage.getAlarm());

/** The epoch of a lease that must have been granted. */
const granted = async (pool: DurableObjectStub<Pool>, job: string) => {
	const acquired = await pool.acquire(ask(job));
	if (acquired.answer !== "granted") throw new Error(acquired.answer);
	return acquired.lease.epoch;
};

describe("a pool", () => {
	it("grants as many leases as the worker has slots, then queues first come, first served", async () => {
		const worker = fakeWorker({ tokens: [] });
		worker.slots = 2;
		const pool = newPool();
		const called = await callsTo(pool);
		const a = await granted(pool, "a/1");
		const b = await granted(pool, "a/2");
		expect(await pool.acquire(ask("a/3"))).toMatchObject({
			answer: "queued",
		});
		expect(await pool.acquire(ask("a/4"))).toMatchObject({
			answer: "queued",
		});
		expect(await pool.acquire(ask("a/3"))).toMatchObject({
			answer: "queued",
		});
		await pool.release("a/1", a, "finished", null);
		expect(called).toEqual(["a/3"]);
		await pool.release("a/2", b, "finished", null);
		expect(called).toEqual(["a/3", "a/4"]);
	});

	it("says that nobody is up, probes while somebody waits, and grants when the worker is", async () => {
		const worker = fakeWorker({ tokens: [] });
		worker.state = "starting";
		const pool = newPool();
		const called = await callsTo(pool);
		expect(await pool.acquire(ask("a/1"))).toMatchObject({
			answer: "provisioning",
		});
		expect(await runDurableObjectAlarm(pool)).toBe(true);
		expect(called).toEqual([]);
		worker.state = "ready";
		expect(await runDurableObjectAlarm(pool)).toBe(true);
		expect(called).toEqual(["a/1"]);
	});

	it("asks the worker nothing while nobody waits", async () => {
		const worker = fakeWorker({ tokens: [] });
		const pool = newPool();
		await callsTo(pool);
		const epoch = await granted(pool, "a/1");
		const { probes } = worker;
		await moveClock(pool, LEASE_MS / 2);
		await runDurableObjectAlarm(pool);
		expect(worker.probes).toBe(probes);
		await pool.release("a/1", epoch, "finished", null);
		await runDurableObjectAlarm(pool);
		expect(worker.probes).toBe(probes);
		expect(await alarm(pool)).toBe(null);
	});

	it("frees the slot of a job whose heartbeats stopped, and keeps the others'", async () => {
		const worker = fakeWorker({ tokens: [] });
		worker.slots = 2;
		const pool = newPool();
		const called = await callsTo(pool);
		const dead = await granted(pool, "a/dead");
		const alive = await granted(pool, "a/alive");
		expect((await pool.acquire(ask("a/next"))).answer).toBe("queued");
		await moveClock(pool, LEASE_MS - 1000);
		expect(await pool.heartbeat("a/alive", alive)).toEqual({
			held: true,
			running: 2,
		});
		await moveClock(pool, LEASE_MS + 1000);
		await runDurableObjectAlarm(pool);
		expect(called).toEqual(["a/next"]);
		expect((await pool.heartbeat("a/dead", dead)).held).toBe(false);
		expect((await pool.heartbeat("a/alive", alive)).held).toBe(true);
	});

	it("lets an old holder free nothing of a new one's", async () => {
		const worker = fakeWorker({ tokens: [] });
		worker.slots = 1;
		const pool = newPool();
		await callsTo(pool);
		const old = await granted(pool, "a/1");
		expect(await granted(pool, "a/1")).toBe(old);
		await pool.release("a/1", old, "failed", null);
		const renewed = await granted(pool, "a/1");
		expect(renewed).toBeGreaterThan(old);
		await pool.release("a/1", old, "failed", null);
		expect((await pool.heartbeat("a/1", renewed)).held).toBe(true);
		expect((await pool.acquire(ask("a/2"))).answer).toBe("queued");
	});

	it("puts a resumed job before those that have shown nothing yet", async () => {
		const worker = fakeWorker({ tokens: [] });
		worker.slots = 1;
		const pool = newPool();
		const called = await callsTo(pool);
		const epoch = await granted(pool, "a/1");
		await pool.acquire(ask("a/new"));
		await pool.acquire(ask("a/resumed", { resumed: true }));
		await pool.release("a/1", epoch, "finished", null);
		expect(called).toEqual(["a/resumed"]);
	});

	it("gives a slot on when the job has no more use for it, or cannot be reached", async () => {
		const worker = fakeWorker({ tokens: [] });
		worker.slots = 1;
		const pool = newPool();
		const called = await callsTo(pool, (job) => {
			if (job === "a/broken") throw new Error("unreachable");
			return job === "a/good";
		});
		const epoch = await granted(pool, "a/1");
		for (const job of ["a/gone", "a/broken", "a/good"])
			await pool.acquire(ask(job));
		await pool.release("a/1", epoch, "finished", null);
		await vi.waitFor(() => expect(called).toContain("a/broken"));
		await runDurableObjectAlarm(pool);
		expect(called.slice(0, 3)).toEqual(["a/gone", "a/broken", "a/good"]);
	});
});

describe("a pool's model", () => {
	it("is what its worker must serve: another one is not ready, and both are named, once", async () => {
		const lines = vi.spyOn(console, "log");
		const worker = fakeWorker({ tokens: [] }, "vicuna-7b");
		worker.model = "vicuna-13b";
		const pool = newPool();
		const called = await callsTo(pool);
		expect(
			await pool.acquire(ask("a/1", { model: "vicuna-7b" })),
		).toMatchObject({
			answer: "provisioning",
		});
		await runDurableObjectAlarm(pool);
		expect(called).toEqual([]);
		const told = lines.mock.calls
			.map(([line]) => JSON.parse(String(line)))
			.filter(({ event }) => event === "worker_of_another_model");
		expect(told).toHaveLength(1);
		expect(told[0]).toMatchObject({ model: "vicuna-7b", serves: "vicuna-13b" });
		worker.model = "vicuna-7b";
		await runDurableObjectAlarm(pool);
		expect(called).toEqual(["a/1"]);
	});

	it("decides which worker is asked", async () => {
		const nano = fakeWorker({ tokens: [] });
		const vicuna = fakeWorker({ tokens: [] }, "vicuna-7b");
		const pool = newPool();
		await callsTo(pool);
		const acquired = await pool.acquire(ask("a/1", { model: "vicuna-7b" }));
		expect(acquired).toMatchObject({
			answer: "granted",
			lease: { url: "http://vicuna.test" },
		});
		expect([nano.probes, vicuna.probes]).toEqual([0, 1]);
	});

	it("that is not served any more has no worker, and its jobs wait", async () => {
		const pool = newPool();
		const acquired = await pool.acquire(ask("a/1", { model: "vicuna-13b" }));
		expect(acquired).toMatchObject({ answer: "provisioning" });
	});

	it("is still known when the object starts anew, and learnt by one that an older version wrote", async () => {
		const worker = fakeWorker({ tokens: [] });
		worker.state = "starting";
		const pool = newPool();
		await pool.acquire(ask("a/1"));
		worker.state = "ready";
		await evictDurableObject(pool);
		const called = await callsTo(pool);
		await runDurableObjectAlarm(pool);
		expect(called).toEqual(["a/1"]);

		const old = newPool();
		await runInDurableObject(old, (_, { storage }) => {
			storage.sql.exec("DROP TABLE pool");
			storage.sql.exec("UPDATE version SET version = 1");
			storage.sql.exec("INSERT INTO queue (job) VALUES ('a/old')");
		});
		await evictDurableObject(old);
		await callsTo(old);
		await granted(old, "a/old");
	});
});
