/**
 * A day of a real Pool object under a virtual clock: bursty callers, workers that take a minute to
 * come, an autoscaler that reads the pool's load figure. The pool sees of it what it sees in
 * production: requests, releases, heartbeats, answers to probes.
 */
import type { Lease, SlotRequest } from "../../src/contract/pool.ts";
import type { Pool } from "../../src/pool/pool.ts";
import { poolFrom } from "../support/gather.ts";
import { NOTHING, told, violations } from "../support/invariants.ts";
import { Random } from "./random.ts";
import type { Scene, Signal, Story, Told } from "./story.ts";
import { Timeline } from "./timeline.ts";

export const SCENE: Scene = {
	seed: 1,
	jobs: 4_000,
	workers: [1, 2, 3, 4].map((n) => `http://replica-${n}.test`),
	slots: 2,
	service: 12_000,
	spread: 0.8,
	load: 0.7,
	burst: 3,
	bursty: 0.3,
	burstLength: 180_000,
	coldStart: 60_000,
	accounts: [10, 2, 2, 1, 1, 1, 1, 1, 1],
	deaths: 0.002,
};

/** Of the autoscaler, as one on Kubernetes has it. */
const POLL_MS = 15_000;
/** It wants the queue gone in this time. */
const DRAIN_S = 30;
/** Fewer workers only after nothing else was wanted for this time. */
const SETTLE_MS = 60_000;
const HEARTBEAT_MS = 10_000;
const QUIET_MS = 60_000;
const REST_MS = 60_000;
const BACKOFF_MS = 500;
const FIRST_TOKEN_MS = 400;
/** Of the mean job, and what every job may produce. */
const TOKENS = { mean: 100, budget: 1_000 };

interface Machine {
	url: string;
	state: "off" | "away" | "starting" | "ready" | "draining";
	running: number;
}

interface Doing extends Told {
	service: number;
	tokens: number;
	attempts: number;
	byAccount: Map<number, number>;
}

/** Far in the future, where no true alarm fires. */
const BEGIN = Date.UTC(2100, 0);

export async function play(
	pool: Pool,
	storage: DurableObjectStorage,
	scene: Scene,
): Promise<Story> {
	const world = new World(pool, scene);
	const { time } = world;
	const step = async () => {
		const alarm = (await storage.getAlarm()) ?? Number.POSITIVE_INFINITY;
		if (alarm <= time.next) {
			time.now = Math.max(time.now, alarm);
			await storage.deleteAlarm();
			await pool.alarm();
		} else await time.step();
	};
	while (!world.over) await step();
	const story = world.story();
	// The slots of jobs that died are free again after a while.
	for (const rest = time.now + REST_MS; time.now < rest; ) await step();
	const pools = [poolFrom((sql) => storage.sql.exec(sql).toArray())];
	const found = violations({ ...NOTHING, pools });
	return { ...story, wrongs: [...story.wrongs, ...found.map(told)] };
}

class World {
	readonly time = new Timeline(BEGIN);
	readonly #pool: Pool;
	readonly #scene: Scene;
	readonly #random: Random;
	readonly #machines: Machine[];
	readonly #jobs = new Map<string, Doing>();
	readonly #alive = new Set<Doing>();
	readonly #waiting = new Set<Doing>();
	/** When each account last got a slot. */
	readonly #grantedAt = new Map<number, number>();
	readonly #signals: Signal[] = [];
	readonly #epochs: number[] = [];
	readonly #wrongs: string[] = [];
	#burst = false;
	#coldStarts = 0;
	#wanted = 0;
	/** Since when fewer workers than now would do. */
	#fewerSince: number | null = null;

	constructor(pool: Pool, scene: Scene) {
		this.#pool = pool;
		this.#scene = scene;
		this.#random = new Random(scene.seed);
		this.#machines = scene.workers.map((url) => ({
			url,
			running: 0,
			state: "off",
		}));
		pool.clock = () => this.time.now;
		pool.probe = async ({ url }) => this.#readiness(url);
		pool.grantTo = async (job, lease) => {
			this.#begin(this.#jobs.get(job) as Doing, lease);
			return true;
		};
		this.time.after(0, () => this.#turn());
		this.time.after(0, () => this.#poll());
		this.#nextArrival();
	}

	get over(): boolean {
		return this.#jobs.size === this.#scene.jobs && this.#alive.size === 0;
	}

	story(): Story {
		return {
			scene: this.#scene,
			jobs: [...this.#jobs.values()],
			signals: this.#signals,
			coldStarts: this.#coldStarts,
			epochs: this.#epochs,
			wrongs: this.#wrongs,
			ms: this.time.now - BEGIN,
		};
	}

	#readiness(url: string) {
		const machine = this.#machines.find((machine) => machine.url === url);
		switch (machine?.state) {
			case "ready":
				return {
					status: "ready" as const,
					model: "nano",
					digest: "d",
					slots: this.#scene.slots,
				};
			case "starting":
			case "draining":
				return { status: machine.state };
			default:
				return { status: "away" as const };
		}
	}

	/** From calm to burst and back. */
	#turn(): void {
		const { burstLength, bursty } = this.#scene;
		this.#burst = !this.#burst;
		const mean = this.#burst
			? burstLength
			: (burstLength * (1 - bursty)) / bursty;
		this.time.after(this.#random.exponential(mean), () => this.#turn());
	}

	/** Jobs per millisecond now. */
	get #rate(): number {
		const { workers, slots, service, load, burst, bursty } = this.#scene;
		const mean = (load * workers.length * slots) / service;
		const calm = (mean * (1 - bursty * burst)) / (1 - bursty);
		return this.#burst ? burst * mean : calm;
	}

	/** A Poisson process whose rate changes: more arrivals than there are, thinned out. */
	#nextArrival(): void {
		const { workers, slots, service, load, burst, jobs } = this.#scene;
		const most = (burst * load * workers.length * slots) / service;
		this.time.after(this.#random.exponential(1 / most), async () => {
			if (this.#random.uniform() < this.#rate / most) await this.#arrive();
			if (this.#jobs.size < jobs) this.#nextArrival();
		});
	}

	async #arrive(): Promise<void> {
		const { accounts, service, spread } = this.#scene;
		const account = this.#random.pick(accounts);
		const job = `account-${account}/${this.#jobs.size}`;
		const ms = this.#random.logNormal(service, spread);
		const doing: Doing = {
			job,
			account,
			at: this.time.now,
			quote: null,
			position: 0,
			startedAt: null,
			endedAt: null,
			ranMs: 0,
			first: this.#isQuiet(account),
			overtaken: 0,
			overtakenByOne: 0,
			byAccount: new Map(),
			service: ms,
			attempts: 0,
			tokens: Math.min(Math.ceil((TOKENS.mean * ms) / service), TOKENS.budget),
		};
		this.#jobs.set(job, doing);
		this.#alive.add(doing);
		this.#waiting.add(doing);
		await this.#ask(doing, null);
	}

	#isQuiet(account: number): boolean {
		const grantedAt = this.#grantedAt.get(account) ?? 0;
		return (
			this.time.now - grantedAt > QUIET_MS &&
			![...this.#alive].some((other) => other.account === account)
		);
	}

	async #ask(doing: Doing, avoid: string | null): Promise<void> {
		const ask: SlotRequest = {
			model: "nano",
			job: doing.job,
			avoid,
			tokens: TOKENS.budget,
			account: `account-${doing.account}`,
			resumed: doing.attempts > 0,
		};
		const acquired = await this.#pool.acquire(ask);
		if (acquired.status === "granted") this.#begin(doing, acquired.lease);
		else if (doing.attempts === 0) {
			doing.quote = acquired.eta;
			doing.position = acquired.position;
		}
	}

	#begin(doing: Doing, { epoch, url }: Lease): void {
		const machine = this.#machines.find(
			(machine) => machine.url === url,
		) as Machine;
		this.#epochs.push(epoch);
		doing.attempts++;
		if (doing.attempts === 1) {
			doing.startedAt = this.time.now;
			this.#waiting.delete(doing);
			this.#grantedAt.set(doing.account, this.time.now);
			for (const other of this.#waiting) {
				const { account, byAccount } = other;
				other.overtaken++;
				if (account === doing.account) continue;
				const many = (byAccount.get(doing.account) ?? 0) + 1;
				byAccount.set(doing.account, many);
				other.overtakenByOne = Math.max(other.overtakenByOne, many);
			}
		}
		// It answers `draining`, or not at all: the job goes elsewhere.
		if (machine.state !== "ready") {
			this.time.after(10, async () => {
				await this.#pool.release(doing.job, epoch, "down", null);
				this.time.after(BACKOFF_MS, () => this.#ask(doing, url));
			});
			return;
		}
		machine.running++;
		if (machine.running > this.#scene.slots)
			this.#wrongs.push(`${machine.running} jobs on ${url}`);
		if (this.#random.uniform() < this.#scene.deaths) {
			this.#leave(doing, machine);
			return;
		}
		const beat = async () => {
			if (!this.#alive.has(doing)) return;
			const { leased } = await this.#pool.heartbeat(doing.job, epoch);
			if (!leased) this.#wrongs.push(`${doing.job} lost its lease`);
			this.time.after(HEARTBEAT_MS, beat);
		};
		this.time.after(HEARTBEAT_MS, beat);
		this.time.after(doing.service, async () => {
			this.#leave(doing, machine);
			doing.endedAt = this.time.now;
			doing.ranMs = doing.service;
			await this.#pool.release(doing.job, epoch, "finished", {
				firstTokenMs: FIRST_TOKEN_MS,
				tokens: doing.tokens,
				ms: doing.service,
			});
		});
	}

	#leave(doing: Doing, machine: Machine): void {
		this.#alive.delete(doing);
		machine.running--;
		if (machine.state === "draining" && machine.running === 0)
			machine.state = "off";
	}

	async #poll(): Promise<void> {
		const load = await this.#pool.load("nano");
		const { slots } = this.#scene;
		const queued = load.queued_seconds_per_slot * Math.max(1, load.ready_slots);
		const wanted = Math.min(
			this.#machines.length,
			Math.ceil((load.running + queued / DRAIN_S) / slots),
		);
		this.#scaleTo(wanted);
		this.#signals.push({
			at: this.time.now - BEGIN,
			burst: this.#burst,
			waiting: load.waiting,
			running: load.running,
			readySlots: load.ready_slots,
			queued: load.queued_seconds_per_slot,
			wanted: this.#wanted,
		});
		this.time.after(POLL_MS, () => this.#poll());
	}

	#scaleTo(wanted: number): void {
		const up = this.#machines.filter(
			({ state }) => state !== "off" && state !== "draining",
		);
		if (wanted >= up.length) {
			this.#fewerSince = null;
			if (up.length === 0 && wanted > 0) this.#coldStarts++;
			for (const machine of this.#machines
				.filter(({ state }) => state === "off")
				.slice(0, wanted - up.length))
				this.#start(machine);
			this.#wanted = Math.max(wanted, up.length);
			return;
		}
		this.#fewerSince ??= this.time.now;
		if (this.time.now - this.#fewerSince < SETTLE_MS) return;
		this.#fewerSince = null;
		this.#wanted = wanted;
		for (const machine of up.slice(wanted))
			machine.state =
				machine.state === "ready" && machine.running > 0 ? "draining" : "off";
	}

	/** First the machine itself, then the engine on it. */
	#start(machine: Machine): void {
		const ms = this.#random.logNormal(this.#scene.coldStart, 0.1);
		machine.state = "away";
		const later = (share: number, state: Machine["state"]) =>
			this.time.after(share * ms, () => {
				if (machine.state === "away" || machine.state === "starting")
					machine.state = state;
			});
		later(0.3, "starting");
		later(1, "ready");
	}
}
