/**
 * A deployment of its own for one test file: the edge, its data and an account; the engine and the
 * S3 server of the run, if it has them.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { developmentAccount } from "../../scripts/development.mjs";
import { freePort } from "../../scripts/ports.mjs";
import { type Secrets, secretsOf } from "../../scripts/secrets.mjs";
import {
	bundleEdge,
	startEdge,
	startS3,
	startWorker,
} from "../../scripts/stack.mjs";

export interface Deployment {
	/** The edge. */
	url: string;
	s3: string;
	/** nano's, not through anything. */
	worker: string;
	/** The id of an account with credit. */
	account: string;
	/** Its API key. */
	key: string;
	/** The key of one more account with credit. */
	stranger: () => Promise<string>;
	secrets: Secrets;
	/** Folder of the Worker, for another edge. */
	bundle: string;
	/** What the edge has logged since it started. */
	log: () => Promise<string>;
	/** `kill -9` of the edge, and a new one on the same port and data. Resolves when that is up. */
	crash: () => Promise<void>;
	stop: () => Promise<void>;
}

/** What a further worker needs to know of the deployment. */
export interface Around {
	port: number;
	state: string;
	secrets: Secrets;
	s3: string;
}

export interface Other {
	/** What the edge is told. */
	url: string;
	stop: () => Promise<unknown>;
}

/** The page of any edge may upload to the bucket that they share. */
export const LOCAL = ["http://127.0.0.1:*"];

/**
 * What `npm test` tells of the servers that all stages share; without it, a file starts its own.
 */
const shared = process.env;

/**
 * @param vars configuration of the edge on top of the usual
 * @param through what the edge is told of the worker's URL, where something stands between them
 * @param others starts the workers of further models, by model
 */
export async function deploy(
	vars: Record<string, string> = {},
	through: (worker: string) => Promise<string> = async (worker) => worker,
	others: (around: Around) => Promise<Record<string, Other>> = async () => ({}),
): Promise<Deployment> {
	const state = await mkdtemp(join(tmpdir(), "minigpt4-e2e-"));
	const secrets: Secrets = {
		...secretsOf(state),
		...(shared.MINIGPT4_WORKER_KEY && {
			workerKey: shared.MINIGPT4_WORKER_KEY,
		}),
		...(shared.MINIGPT4_S3_ACCESS_KEY && {
			s3AccessKey: shared.MINIGPT4_S3_ACCESS_KEY,
		}),
		...(shared.MINIGPT4_S3_SECRET_KEY && {
			s3SecretKey: shared.MINIGPT4_S3_SECRET_KEY,
		}),
	};
	const stops: (() => Promise<unknown>)[] = [];
	const stop = async () => {
		for (const end of stops.reverse()) await end();
		await rm(state, { recursive: true, force: true });
	};
	try {
		const port = await freePort();
		const place = async () => ({ port: await freePort(), state, secrets });

		let s3 = shared.MINIGPT4_S3_URL;
		if (!s3) {
			const server = await startS3({ ...(await place()), origins: LOCAL });
			stops.push(server.stop);
			s3 = server.url;
		}

		let worker = shared.MINIGPT4_WORKER_URL;
		if (!worker) {
			const server = await startWorker({
				...(await place()),
				imagesFrom: [s3],
			});
			stops.push(server.stop);
			await server.ready;
			worker = server.url;
		}

		const more = Object.entries(await others({ ...(await place()), s3 }));
		stops.push(...more.map(([, { stop }]) => stop));
		const nano = await through(worker);
		const workers = {
			nano,
			...Object.fromEntries(more.map(([model, { url }]) => [model, url])),
		};

		const bundle =
			shared.MINIGPT4_BUNDLE ?? (await bundleEdge(join(state, "bundle")));
		const start = () =>
			startEdge({
				port,
				state,
				secrets,
				s3,
				bundle,
				worker: more.length > 0 ? workers : nano,
				vars,
			});
		let edge = await start();
		stops.push(() => edge.stop());
		const crash = async () => {
			await edge.daemon.kill();
			edge = await start();
		};
		const account = async (of: string) => {
			const { adminSecret } = secrets;
			return developmentAccount({ edge: edge.url, state: of, adminSecret });
		};
		const { id, key } = await account(state);
		const stranger = async () =>
			(await account(await mkdtemp(join(state, "account-")))).key;
		const { url } = edge;
		const log = () => readFile(edge.daemon.log, "utf8");
		return {
			url,
			s3,
			worker,
			account: id,
			key,
			stranger,
			secrets,
			bundle,
			log,
			crash,
			stop,
		};
	} catch (error) {
		await stop();
		throw error;
	}
}
