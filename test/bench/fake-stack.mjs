// @ts-check
/**
 * The edge and a bucket of their own, with the scripted worker behind them: what is measured is the
 * edge.
 */
import { createHash } from "node:crypto";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { developmentAccount } from "../../scripts/development.mjs";
import * as paths from "../../scripts/paths.mjs";
import { freePort } from "../../scripts/ports.mjs";
import { secretsOf } from "../../scripts/secrets.mjs";
import { bundleEdge, startEdge } from "../../scripts/stack.mjs";
import { serve } from "../support/fake-worker-server.ts";
import { thisTree } from "./edition.mjs";
import { picture } from "./pictures.mjs";

/** @typedef {import("../support/fake-worker.ts").FakeWorker} FakeWorker */
/** @typedef {Awaited<ReturnType<typeof fakeStack>>} FakeStack */

let stateFolder = paths.state;
/** @param {string} folder where the stacks keep their data from now on */
export const keepStateIn = (folder) => {
	stateFolder = folder;
};

/**
 * @param {object} options
 * @param {string} options.name of its state folder
 * @param {import("./edition.mjs").Edition} options.edition whose Worker runs
 * @param {(key: string) => Promise<{ url: string, stop: () => Promise<unknown> }>}
 *   options.startWorker `key`: what the edge opens it with
 * @param {Record<string, string>} [options.vars]
 * @param {string} [options.entry] of the Worker, in its checkout, instead of src/index.ts
 * @param {number} [options.inspector] port of V8's inspector; the bundle keeps its names
 */
export async function edgeStack({
	name,
	edition,
	startWorker,
	vars = {},
	entry,
	inspector,
}) {
	const { root } = edition;
	if (entry && !existsSync(join(root, entry)))
		throw new Error(`${edition.name} has no ${entry}, which this bench runs`);
	const folder = edition === thisTree ? name : `${name}-${edition.name}`;
	const state = join(stateFolder, folder);
	rmSync(state, { recursive: true, force: true });
	const secrets = secretsOf(state);
	const gpu = await startWorker(secrets.workerKey);
	const edge = await startEdge({
		port: await freePort(),
		state,
		secrets,
		s3: { port: await freePort() },
		worker: gpu.url,
		inspector,
		bundle: await bundleEdge(join(state, "bundle"), {
			root,
			readable: inspector !== undefined,
			...(entry && { entry: join(root, entry) }),
		}),
		vars: {
			LIMIT_CONCURRENT_JOBS: "1000000",
			LIMIT_REQUESTS_PER_MINUTE: "10000000",
			LIMIT_TOKENS_PER_MINUTE: "1000000000",
			...vars,
		},
	});
	const { adminSecret } = secrets;
	const account = await developmentAccount({
		edge: edge.url,
		state,
		adminSecret,
	});
	return { edge, state, adminSecret, ...account, stopWorker: gpu.stop };
}

/**
 * @param {Omit<Parameters<typeof edgeStack>[0], "startWorker"> & { worker: FakeWorker }} options
 */
export const fakeStack = ({ worker, ...options }) =>
	edgeStack({
		...options,
		startWorker: (key) => {
			worker.key = key;
			worker.allowed = ["127.0.0.1"];
			return serve(worker);
		},
	});

/**
 * Calls the API and reads the answer.
 * @param {{ edge: { url: string }, key: string }} stack @param {string} method @param {string} path
 * @param {unknown} [body] @returns {Promise<any>} @throws Error when it is refused
 */
export async function call({ edge, key }, method, path, body) {
	const answer = await fetch(`${edge.url}/v1${path}`, {
		method,
		headers: {
			Authorization: `Bearer ${key}`,
			"Content-Type": "application/json",
		},
		...(body === undefined ? {} : { body: JSON.stringify(body) }),
	});
	if (!answer.ok)
		throw new Error(
			`${method} ${path} answered ${answer.status}: ${await answer.text()}`,
		);
	return answer.json();
}

/**
 * An image that many jobs may name.
 * @param {{ edge: { url: string }, key: string }} stack
 * @returns {Promise<string>} its upload id
 */
export async function upload(stack) {
	const bytes = picture(1);
	const { id, put } = await call(stack, "POST", "/uploads", {
		content_type: "image/jpeg",
		bytes: bytes.length,
		sha256: createHash("sha256").update(bytes).digest("hex"),
	});
	const sent = await fetch(put.url, {
		method: "PUT",
		headers: put.headers,
		body: new Uint8Array(bytes),
	});
	if (!sent.ok) throw new Error(`PUT of an image answered ${sent.status}`);
	await call(stack, "POST", `/uploads/${id}/finalize`);
	return id;
}

/** Waits until nothing is held. @param {{ edge: { url: string }, key: string }} caller */
export async function ended(caller) {
	for (const deadline = Date.now() + 60_000; Date.now() < deadline; ) {
		const { balance } = await call(caller, "GET", "/account");
		if (balance.held === 0) return;
		await sleep(50);
	}
	throw new Error("jobs did not end within a minute");
}
