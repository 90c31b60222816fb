// @ts-check
/**
 * The edge and a bucket of their own, with the scripted worker behind them: what is measured is the
 * edge.
 */
import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { developmentAccount } from "../../scripts/development.mjs";
import * as paths from "../../scripts/paths.mjs";
import { freePort } from "../../scripts/ports.mjs";
import { secretsOf } from "../../scripts/secrets.mjs";
import { bundleEdge, startEdge } from "../../scripts/stack.mjs";
import { serve } from "../support/fake-worker-server.ts";
import { picture } from "./pictures.mjs";

/** @typedef {import("../support/fake-worker.ts").FakeWorker} FakeWorker */
/** @typedef {Awaited<ReturnType<typeof fakeStack>>} FakeStack */

/**
 * @param {{ name: string, worker: FakeWorker, vars?: Record<string, string>, entry?: string }} options
 *   `name`: of its state folder; `entry`: see `bundleEdge`
 */
export async function fakeStack({ name, worker, vars = {}, entry }) {
	const state = join(paths.state, name);
	rmSync(state, { recursive: true, force: true });
	const secrets = secretsOf(state);
	worker.key = secrets.workerKey;
	worker.allowed = ["127.0.0.1"];
	const gpu = await serve(worker);
	const edge = await startEdge({
		...{ port: await freePort(), state, secrets },
		...{ s3: { port: await freePort() }, worker: gpu.url },
		bundle: await bundleEdge(join(state, "bundle"), entry ? { entry } : {}),
		vars: {
			JOB_PRICE: "1",
			LIMIT_CONCURRENT_JOBS: "1000000",
			LIMIT_REQUESTS_PER_MINUTE: "10000000",
			...vars,
		},
	});
	const { adminSecret } = secrets;
	const account = await developmentAccount({
		...{ edge: edge.url, state, adminSecret },
	});
	return { edge, state, adminSecret, ...account, stopWorker: gpu.stop };
}

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

/** An image that many jobs may name. @param {{ edge: { url: string }, key: string }} stack @returns {Promise<string>} its upload id */
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
