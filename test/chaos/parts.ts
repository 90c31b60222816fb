/** The parts of a deployment that can be struck one by one, and come back where they were. */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as paths from "../../scripts/paths.mjs";
import { freePort } from "../../scripts/ports.mjs";
import { type Daemon, launch } from "../../scripts/process.mjs";
import type { Secrets } from "../../scripts/secrets.mjs";
import {
	bundleEdge,
	type Server,
	s3At,
	startEdge,
	startS3,
	startWorker,
} from "../../scripts/stack.mjs";

/** A process that is started again on the same port and data whenever it was killed. */
export class Part {
	readonly port: number;
	readonly url: string;
	readonly #start: (port: number) => Promise<Server>;
	#server: Server | null = null;
	#changing: Promise<void> = Promise.resolve();
	/** It is up and nothing is about to change that. */
	up = false;
	/** Told when it does not come back. */
	onLost: () => void = () => {};
	/** How long starting again took, in ms, each time. */
	readonly starts: number[] = [];

	constructor(
		port: number,
		start: (port: number) => Promise<Server>,
		url = `http://127.0.0.1:${port}`,
	) {
		this.port = port;
		this.url = url;
		this.#start = start;
	}

	async start(): Promise<void> {
		const from = Date.now();
		this.#server = await this.#start(this.port);
		this.starts.push(Date.now() - from);
		this.up = true;
	}

	/** `kill -9`, and a start after `ms`. @returns false where it is down anyway */
	kill(ms: number): boolean {
		if (!this.up) return false;
		this.up = false;
		this.#changing = (async () => {
			await this.#server?.daemon.kill();
			await sleep(ms);
			await this.start();
		})();
		this.#changing.catch(() => this.onLost()); // why, sees who settles
		return true;
	}

	/** Resolves when it is up again. */
	async settled(): Promise<void> {
		await this.#changing;
	}

	async stop(): Promise<void> {
		await this.#changing.catch(() => {});
		this.up = false;
		await this.#server?.stop();
		this.#server = null;
	}
}

export async function storage(state: string, secrets: Secrets): Promise<Part> {
	const port = await freePort();
	return new Part(port, () => startS3({ port, state, secrets }), s3At(port));
}

/**
 * Bundled once: what is edited meanwhile is not this run's.
 * @param workers where they are, asked for at each start
 * @param vars how the edge is configured, asked for at each start
 */
export async function edge(
	state: string,
	secrets: Secrets,
	s3: string,
	workers: () => string[],
	vars: () => Record<string, string>,
): Promise<Part> {
	const entry = join(paths.root, "test/chaos/edge.ts");
	const bundle = await bundleEdge(join(state, "bundle"), { entry });
	return new Part(await freePort(), (port) => {
		keepLog(join(state, "log", "edge.log"));
		return startEdge({
			port,
			state,
			secrets,
			s3,
			bundle,
			worker: { nano: workers() },
			vars: vars(),
		});
	});
}

/** A fake worker. @param args beside its port */
export async function fakeWorker(
	state: string,
	secrets: Secrets,
	args: string[],
): Promise<Part> {
	return new Part(await freePort(), async (port) => {
		const daemon: Daemon = await launch(
			paths.node,
			[join(paths.root, "test/chaos/worker.ts"), String(port), ...args],
			{
				log: join(state, "log", `worker-${port}.log`),
				env: { WORKER_KEY: secrets.workerKey },
			},
		);
		const url = `http://127.0.0.1:${port}`;
		for (;;) {
			if (daemon.exit)
				throw new Error(`the fake worker ended; see ${daemon.log}`);
			if (await fetch(`${url}/healthz`).catch(() => null)) break;
			await sleep(30);
		}
		return { url, port, daemon, stop: () => daemon.stop() };
	});
}

/** The real engine, with `nano` on the CPU; it is up once it answers. */
export async function engine(
	state: string,
	secrets: Secrets,
	s3: string,
): Promise<Part> {
	return new Part(await freePort(), async (port) => {
		const server = await startWorker({
			port,
			state,
			secrets,
			imagesFrom: [s3],
		});
		await server.ready;
		return server;
	});
}

/** What the last one said before it was killed is kept. */
function keepLog(log: string): void {
	if (existsSync(log))
		appendFileSync(log.replace(/\.log$/, ".all.log"), readFileSync(log));
}
