import {
	evictDurableObject,
	runDurableObjectAlarm,
	runInDurableObject,
} from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import type { ProbeResult } from "../../src/backends/worker.ts";
import type { Eta, SlotRequest } from "../../src/contract/pool.ts";
import type { WorkerAddress } from "../../src/models.ts";
import type { Pool } from "../../src/pool/pool.ts";
import { LEASE_MS } from "../../src/pool/pool.ts";
import { bindings } from "../support/account.ts";
import { eventually } from "../support/eventually.ts";
import { fakeWorker } from "../support/jobs.ts";

let pools = 0;
function newPool(): DurableObjectStub<Pool> {
	pools++;
	return bindings.POOL.get(bindings.POOL.idFromName(`pool-${pools}`));
}

type AskOf = [job: string, part?: Partial<SlotRequest>];
const ask = (...[job, part = {}]: AskOf): SlotRequest => ({
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
			getByName: (name: string) => ({
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

/** Replicas in place of the configured worker, each in whatever state the test puts it. */
const replicas = async (
	pool: DurableObjectStub<Pool>,
	states: Record<string, ProbeResult>,
) => {
	const asked: string[] = [];
	await runInDurableObject(pool, (object: Pool) => {
		const url = Object.keys(states);
		const { env } = object as unknown as { env: Env };
		Object.defineProperty(object, "env", {
			value: { ...env, WORKERS: { nano: { url } } },
		});
		object.probe = async (address) => {
			const { url } = address as WorkerAddress;
			asked.push(url);
			return states[url] as ProbeResult;
		};
	});
	return asked;
};

const ready = (slots: number, model = "nano"): ProbeResult => ({
	status: "ready",
	digest: "d",
	model,
	slots,
});

/** The lease of a job that must have been granted one. */
const lease = async (pool: DurableObjectStub<Pool>, ...of: AskOf) => {
	const acquired = await pool.acquire(ask(...of));
	if (acquired.status !== "granted") throw new Error(acquired.status);
	return acquired.lease;
};

const moveClock = (pool: DurableObjectStub<Pool>, ms: number) =>
	runInDurableObject(pool, (object: Pool) => {
		object.clock = () => Date.now() + ms;
	});

const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));

const alarm = (pool: DurableObjectStub<Pool>) =>
	runInDurableObject(pool, (_, state) => state.storage.getAlarm());

const granted = async (pool: DurableObjectStub<Pool>, ...of: AskOf) =>
	(await lease(pool, ...of)).epoch;

/** Rows that the pool writes meanwhile, alarms set included. */
const rowsWritten = async (
	pool: DurableObjectStub<Pool>,
	meanwhile: () => Promise<unknown>,
) => {
	let rows = 0;
	const undo = await runInDurableObject(pool, (_, { storage }) => {
		const { sql } = storage;
		const exec = sql.exec.bind(sql);
		const setAlarm = storage.setAlarm.bind(storage);
		sql.exec = ((query: string, ...values: unknown[]) => {
			const cursor = exec(query, ...values);
			rows += cursor.rowsWritten;
			return cursor;
		}) as typeof sql.exec;
		storage.setAlarm = (at) => {
			rows++;
			return setAlarm(at);
		};
		return () =>
			Object.assign(sql, { exec }) && Object.assign(storage, { setAlarm });
	});
	await meanwhile();
	undo();
	return rows;
};

describe("a pool", () => {
	it("grants as many leases as the worker has slots, then queues in order", async () => {
		const worker = fakeWorker({ tokens: [] });
		worker.slots = 2;
		const pool = newPool();
		const called = await callsTo(pool);
		const a = await granted(pool, "a/1");
		const b = await granted(pool, "a/2");
		expect(await pool.acquire(ask("a/3"))).toMatchObject({
			status: "queued",
		});
		expect(await pool.acquire(ask("a/4"))).toMatchObject({
			status: "queued",
		});
		expect(await pool.acquire(ask("a/3"))).toMatchObject({
			status: "queued",
		});
		await pool.release("a/1", a, "finished", null);
		expect(called).toEqual(["a/3"]);
		await pool.release("a/2", b, "finished", null);
		expect(called).toEqual(["a/3", "a/4"]);
	});

	it("says that nobody is up, probes while somebody waits, grants when the worker is", async () => {
		const worker = fakeWorker({ tokens: [] });
		worker.state = "starting";
		const pool = newPool();
		const called = await callsTo(pool);
		expect(await pool.acquire(ask("a/1"))).toMatchObject({
			status: "provisioning",
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
		expect((await pool.acquire(ask("a/next"))).status).toBe("queued");
		await moveClock(pool, LEASE_MS - 1000);
		expect(await pool.heartbeat("a/alive", alive)).toEqual({
			leased: true,
			running: 2,
		});
		await moveClock(pool, LEASE_MS + 1000);
		await runDurableObjectAlarm(pool);
		expect(called).toEqual(["a/next"]);
		expect((await pool.heartbeat("a/dead", dead)).leased).toBe(false);
		expect((await pool.heartbeat("a/alive", alive)).leased).toBe(true);
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
		expect((await pool.heartbeat("a/1", renewed)).leased).toBe(true);
		expect((await pool.acquire(ask("a/2"))).status).toBe("queued");
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
		await eventually(() => expect(called).toContain("a/broken"));
		await runDurableObjectAlarm(pool);
		expect(called.slice(0, 3)).toEqual(["a/gone", "a/broken", "a/good"]);
	});
});

describe("a pool's model", () => {
	it("is what its worker must serve: another is not ready, and both are named, once", async () => {
		const lines = vi.spyOn(console, "log");
		const worker = fakeWorker({ tokens: [] }, "vicuna-7b");
		worker.model = "vicuna-13b";
		const pool = newPool();
		const called = await callsTo(pool);
		expect(
			await pool.acquire(ask("a/1", { model: "vicuna-7b" })),
		).toMatchObject({
			status: "provisioning",
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
			status: "granted",
			lease: { url: "http://vicuna.test" },
		});
		expect([nano.probes, vicuna.probes]).toEqual([0, 1]);
	});

	it("that is not served any more has no worker, and its jobs wait", async () => {
		const pool = newPool();
		const acquired = await pool.acquire(ask("a/1", { model: "vicuna-13b" }));
		expect(acquired).toMatchObject({ status: "provisioning" });
	});

	it("is still known when the object starts anew", async () => {
		const worker = fakeWorker({ tokens: [] });
		worker.state = "starting";
		const pool = newPool();
		await pool.acquire(ask("a/1"));
		worker.state = "ready";
		await evictDurableObject(pool);
		const called = await callsTo(pool);
		await runDurableObjectAlarm(pool);
		expect(called).toEqual(["a/1"]);
	});
});

describe("replicas", () => {
	it("get jobs by most free slots; none when away, draining or of another model", async () => {
		const pool = newPool();
		await callsTo(pool);
		await replicas(pool, {
			"http://small.test": ready(1),
			"http://large.test": ready(3),
			"http://other.test": ready(9, "vicuna-7b"),
			"http://leaving.test": { status: "draining" },
			"http://away.test": { status: "away" },
		});
		await pool.load("nano");
		const urls: string[] = [];
		for (const job of ["a/1", "a/2", "a/3", "a/4"])
			urls.push((await lease(pool, job)).url);
		expect(urls.slice(0, 2)).toEqual([
			"http://large.test",
			"http://large.test",
		]);
		expect(urls.filter((url) => url === "http://small.test")).toHaveLength(1);
		expect((await pool.acquire(ask("a/5"))).status).toBe("queued");
		expect((await pool.load("nano")).workers).toEqual([
			{ origin: "http://small.test", state: "ready", slots: 1, running: 1 },
			{ origin: "http://large.test", state: "ready", slots: 3, running: 3 },
			{ origin: "http://other.test", state: "mistaken", slots: 0, running: 0 },
			{
				origin: "http://leaving.test",
				state: "draining",
				slots: 0,
				running: 0,
			},
			{ origin: "http://away.test", state: "away", slots: 0, running: 0 },
		]);
	});

	it("that failed a job get others; it gets another one, even if it must wait", async () => {
		const pool = newPool();
		const called = await callsTo(pool);
		await replicas(pool, {
			"http://a.test": ready(2),
			"http://b.test": ready(1),
		});
		const bad = await lease(pool, "x/1");
		expect(bad.url).toBe("http://a.test");
		const other = await lease(pool, "x/2", { avoid: "http://a.test" });
		expect(other.url).toBe("http://b.test");
		await pool.release("x/1", bad.epoch, "failed", null);
		const again = { resumed: true, avoid: bad.url };
		expect((await pool.acquire(ask("x/1", again))).status).toBe("queued");
		expect((await lease(pool, "x/3")).url).toBe("http://a.test");
		await pool.release("x/2", other.epoch, "finished", null);
		expect(called).toEqual(["x/1"]);
	});

	it("that fail three jobs in a row get none for a while, then one, however ready", async () => {
		const pool = newPool();
		await callsTo(pool);
		await replicas(pool, { "http://bad.test": ready(4) });
		for (const job of ["a/1", "a/2", "a/3"])
			await pool.release(job, await granted(pool, job), "down", null);
		expect((await pool.acquire(ask("a/4"))).status).toBe("queued");
		expect(await pool.load("nano")).toMatchObject({
			ready_slots: 0,
			workers: [{ state: "broken", slots: 0 }],
		});
		await pool.leave("a/4");
		await moveClock(pool, 5_100);
		const trying = await granted(pool, "a/5");
		expect((await pool.acquire(ask("a/6"))).status).toBe("queued");
		await pool.release("a/5", trying, "finished", null);
		await granted(pool, "a/7");
		await granted(pool, "a/8");
	});

	it("that come while jobs wait take them; those that are up are not asked always", async () => {
		const pool = newPool();
		const called = await callsTo(pool);
		const states: Record<string, ProbeResult> = {
			"http://a.test": ready(1),
			"http://b.test": { status: "away" },
		};
		const asked = await replicas(pool, states);
		await granted(pool, "a/1");
		expect((await pool.acquire(ask("a/2"))).status).toBe("queued");
		asked.length = 0;
		states["http://b.test"] = { status: "starting" };
		await runDurableObjectAlarm(pool);
		expect([asked, called]).toEqual([["http://b.test"], []]);
		states["http://b.test"] = ready(1);
		await runDurableObjectAlarm(pool);
		expect(called).toEqual(["a/2"]);
	});
});

describe("a place in the queue", () => {
	it("is told with an estimate when a job asks, and again on request", async () => {
		const pool = newPool();
		await callsTo(pool);
		await replicas(pool, { "http://a.test": ready(1) });
		await granted(pool, "a/1");
		const first = await pool.acquire(ask("a/2"));
		const second = await pool.acquire(ask("a/3"));
		const other = await pool.acquire(ask("b/1"));
		expect([first, second, other]).toMatchObject([
			{ status: "queued", position: 1, eta: { cold: false } },
			{ status: "queued", position: 2 },
			{ status: "queued", position: 2 },
		]);
		expect((await pool.place("a/3"))?.position).toBe(3);
		const start = async (job: string) => (await pool.place(job))?.eta.start.p50;
		expect(await start("a/2")).toBeGreaterThan(0);
		expect(await start("a/3")).toBeGreaterThan((await start("a/2")) ?? 0);
		expect(await pool.place("a/1")).toBe(null);
		expect(await pool.place("nobody")).toBe(null);
	});

	it("is estimated from what was measured", async () => {
		const pool = newPool();
		await callsTo(pool);
		await replicas(pool, { "http://a.test": ready(1) });
		const measured = { firstTokenMs: 100, tokens: 300, ms: 2_000 };
		for (let n = 0; n < 40; n++) {
			const epoch = await granted(pool, "a/1");
			await pool.release("a/1", epoch, "finished", measured);
		}
		await granted(pool, "a/1");
		const eta = async (job: string) => {
			const acquired = await pool.acquire(ask(job));
			return acquired.status === "granted" ? null : acquired.eta;
		};
		const { start, finish } = (await eta("a/2")) as Eta;
		expect(start.p50).toBeGreaterThan(1_500);
		expect(start.p90).toBeLessThanOrEqual(2_000);
		expect(finish.p50 - start.p50).toBe(2_000);
		expect((await eta("a/3"))?.start.p50).toBeGreaterThan(3_500);
	});

	it("is given up by a job that leaves, and a slot too", async () => {
		const pool = newPool();
		const called = await callsTo(pool);
		await replicas(pool, { "http://a.test": ready(1) });
		await granted(pool, "a/1");
		for (const job of ["a/2", "a/3"]) await pool.acquire(ask(job));
		await pool.leave("a/2");
		await pool.leave("a/2");
		expect((await pool.place("a/3"))?.position).toBe(1);
		await pool.leave("a/1");
		expect(called).toEqual(["a/3"]);
		expect(await pool.load("nano")).toMatchObject({ running: 1, waiting: 0 });
	});
});

describe("the load", () => {
	it("is seconds of queued work for each ready slot, and finite where there is none", async () => {
		const pool = newPool();
		await callsTo(pool);
		const states: Record<string, ProbeResult> = { "http://a.test": ready(2) };
		await replicas(pool, states);
		expect(await pool.load("nano")).toMatchObject({
			running: 0,
			waiting: 0,
			ready_slots: 2,
			queued_seconds_per_slot: 0,
		});
		for (const job of ["a/1", "a/2", "a/3"]) await pool.acquire(ask(job));
		const one = (await pool.load("nano")).queued_seconds_per_slot;
		expect(one).toBeGreaterThan(0);
		for (const job of ["b/1", "b/2"]) await pool.acquire(ask(job));
		expect(await pool.load("nano")).toMatchObject({
			running: 2,
			waiting: 3,
			queued_seconds_per_slot: 3 * one,
		});
		states["http://a.test"] = { status: "away" };
		await moveClock(pool, 6_000);
		expect(await pool.load("nano")).toMatchObject({
			running: 2,
			waiting: 3,
			ready_slots: 0,
			queued_seconds_per_slot: 6 * one,
			workers: [{ state: "away" }],
		});
	});
});

describe("a pool that starts anew", () => {
	it("knows who waits, in what order, and who holds a slot; it gives no epoch twice", async () => {
		const worker = fakeWorker({ tokens: [] });
		worker.slots = 1;
		const pool = newPool();
		await callsTo(pool);
		const epoch = await granted(pool, "a/1");
		for (const job of ["a/2", "a/3", "b/1"]) await pool.acquire(ask(job));
		await pool.acquire(ask("c/1", { resumed: true }));
		await evictDurableObject(pool);
		const called = await callsTo(pool);
		expect(await granted(pool, "a/1")).toBe(epoch);
		expect((await pool.heartbeat("a/1", epoch)).leased).toBe(true);
		expect((await pool.acquire(ask("a/2"))).status).toBe("queued");
		await pool.release("a/1", epoch, "finished", null);
		for (const job of ["c/1", "a/2", "b/1", "a/3"]) {
			expect(called.at(-1)).toBe(job);
			const next = await granted(pool, job);
			expect(next).toBeGreaterThan(epoch);
			await pool.release(job, next, "finished", null);
		}
		expect(await pool.load("nano")).toMatchObject({ running: 0, waiting: 0 });
	});

	it("gives one lease to a job that asks twice while its worker turns out to be away", async () => {
		const pool = newPool();
		const two = (first: ProbeResult) =>
			replicas(pool, { "http://a.test": first, "http://b.test": ready(1) });
		await callsTo(pool);
		await two(ready(2));
		expect((await lease(pool, "a/1")).url).toBe("http://a.test");
		await evictDurableObject(pool);
		await callsTo(pool);
		await two({ status: "away" });
		// The first takes its time to say so, and the other one is known to be ready by then.
		let told = false;
		await runInDurableObject(pool, (object: Pool) => {
			const { probe } = object;
			object.probe = async (address) => {
				while (address.url === "http://a.test" && !told) await sleep(5);
				return probe(address);
			};
		});
		await pool.release("b/1", await granted(pool, "b/1"), "finished", null);
		setTimeout(() => {
			told = true;
		}, 50);
		const [one, other] = await Promise.all([
			granted(pool, "a/1"),
			granted(pool, "a/1"),
		]);
		expect(other).toBe(one);
		const epochs = () =>
			runInDurableObject(pool, (_, { storage }) =>
				storage.sql.exec("SELECT epoch FROM lease").toArray(),
			);
		expect(await epochs()).toEqual([{ epoch: one }]);
		await pool.release("a/1", one, "finished", null);
		expect(await epochs()).toEqual([]);
	});

	it("asks the silent jobs, so that a dead one's lease ends though the pool sleeps", async () => {
		const pool = newPool();
		const replace = async (alive: string[]) => {
			await callsTo(pool);
			await replicas(pool, { "http://a.test": ready(2) });
			await runInDurableObject(pool, (object: Pool) => {
				object.hasLease = async (job) => alive.includes(job);
			});
		};
		await replace([]);
		const dead = await granted(pool, "a/dead");
		const alive = await granted(pool, "a/alive");
		await evictDurableObject(pool);
		await replace(["a/alive"]);
		await runDurableObjectAlarm(pool);
		expect((await pool.heartbeat("a/dead", dead)).leased).toBe(false);
		expect((await pool.heartbeat("a/alive", alive)).leased).toBe(true);
		await evictDurableObject(pool);
		await replace([]);
		await runDurableObjectAlarm(pool);
		expect(await pool.load("nano")).toMatchObject({ running: 0 });
	});

	it("leaves its alarm where it was, and sets a lost one as soon as anybody calls", async () => {
		const pool = newPool();
		await callsTo(pool);
		await replicas(pool, { "http://a.test": ready(1) });
		await granted(pool, "a/1");
		const at = await alarm(pool);
		await evictDurableObject(pool);
		expect(await pool.place("a/1")).toBe(null);
		expect(await alarm(pool)).toBe(at);
		await runInDurableObject(pool, (_, { storage }) => storage.deleteAlarm());
		await evictDurableObject(pool);
		expect(await pool.place("a/1")).toBe(null);
		expect(await alarm(pool)).not.toBe(null);
	});

	it("keeps what it measured", async () => {
		const pool = newPool();
		await callsTo(pool);
		await replicas(pool, { "http://a.test": ready(1) });
		const measured = { firstTokenMs: 100, tokens: 300, ms: 2_000 };
		for (let n = 0; n < 32; n++) {
			const epoch = await granted(pool, "a/1");
			await pool.release("a/1", epoch, "finished", measured);
		}
		await evictDurableObject(pool);
		await callsTo(pool);
		await replicas(pool, { "http://a.test": ready(1) });
		await granted(pool, "a/1");
		const acquired = await pool.acquire(ask("a/2"));
		expect(acquired).toMatchObject({ status: "queued" });
		if (acquired.status === "granted") return;
		const { start, finish } = acquired.eta;
		expect(finish.p50 - start.p50).toBe(2_000);
	});
});

describe("what a pool writes", () => {
	it("is two rows for a job that gets a slot, four if it waits, none for a heartbeat", async () => {
		const pool = newPool();
		await callsTo(pool);
		await replicas(pool, { "http://a.test": ready(1) });
		const first = await granted(pool, "a/0");
		await pool.release("a/0", first, "finished", null);
		let epoch = 0;
		expect(
			await rowsWritten(pool, async () => {
				epoch = await granted(pool, "a/1");
				await pool.heartbeat("a/1", epoch);
				await pool.release("a/1", epoch, "finished", null);
			}),
		).toBe(2);
		epoch = await granted(pool, "a/1");
		// The alarm is set once: to ask the worker in a second.
		expect(
			await rowsWritten(pool, async () => {
				await pool.acquire(ask("a/2"));
				await pool.release("a/1", epoch, "finished", null);
				epoch = await granted(pool, "a/2");
				await pool.release("a/2", epoch, "finished", null);
			}),
		).toBe(1 + 4);
	});
});
