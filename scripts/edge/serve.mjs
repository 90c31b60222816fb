// @ts-check
/**
 * The process of the edge, of the bucket's S3 API, or of both: Miniflare, which is workerd with the
 * platform's services beside it. `serve.mjs <settings>` reads a private file, prints what the
 * Worker logs, and ends with SIGTERM.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import { BUCKET } from "../bucket.mjs";

/** @typedef {ReturnType<typeof import("../bucket.mjs").corsRule>} Rule */
/** @typedef {{ accessKeyId: string, secretAccessKey: string }} Credentials */
/**
 * @typedef {object} Settings
 * @property {string} persist folder of all data
 * @property {number} port where Miniflare itself listens, which is asked for nothing but the S3 API
 * @property {{ port: number, bundle: string, vars: Record<string, string> }} [edge]
 *   `bundle`: what bundle.mjs wrote
 * @property {Credentials & { port: number, cors: Rule }} [s3]
 * @property {number} [inspector] port of V8's inspector, for a profile
 */

const HOST = "127.0.0.1";
const [path = ""] = process.argv.slice(2);
/** @type {Settings} */
const { persist, port, edge, s3, inspector } = JSON.parse(
	readFileSync(path, "utf8"),
);

/** @param {NonNullable<Settings["edge"]>} edge @returns {any[]} */
function edgeWorkers({ port, bundle, vars }) {
	const { module, options } = JSON.parse(
		readFileSync(join(bundle, "worker.json"), "utf8"),
	);
	const worker = {
		...options,
		modules: [{ type: "ESModule", path: join(bundle, module) }],
		modulesRoot: bundle,
		bindings: { ...options.bindings, ...vars },
	};
	const socket = { host: HOST, port };
	// A socket of a Worker with assets leads through their router, which doubles what a small
	// request costs. Where the Worker comes first on every path, another one's socket may lead
	// straight to it.
	if (options.assets?.run_worker_first !== true)
		return [{ ...worker, unsafeDirectSockets: [socket] }];
	const door = {
		name: "door",
		modules: true,
		script: "export default {}",
		unsafeDirectSockets: [{ ...socket, serviceName: options.name }],
	};
	return [door, worker];
}

/** @param {NonNullable<Settings["s3"]>} s3 @returns {any} */
function s3Worker({ port: listen, cors, ...s3Credentials }) {
	const module = join(import.meta.dirname, "bucket-cors.mjs");
	return {
		name: "bucket",
		modules: [{ type: "ESModule", path: module }],
		modulesRoot: import.meta.dirname,
		bindings: { RULE: cors },
		r2Buckets: { BUCKET: { id: BUCKET, s3Credentials } },
		serviceBindings: {
			S3: { external: { address: `${HOST}:${port}`, http: {} } },
		},
		unsafeDirectSockets: [{ host: HOST, port: listen }],
	};
}

const miniflare = new Miniflare(
	convertV4MiniflareOptions({
		host: HOST,
		port,
		cf: false,
		resourcePersistencePath: persist,
		...(inspector !== undefined && { inspectorPort: inspector }),
		log: new Log(LogLevel.WARN),
		handleStructuredLogs: ({ level, message }) => {
			const to = level === "error" ? process.stderr : process.stdout;
			to.write(`${message}\n`);
		},
		workers: [
			...(s3 ? [s3Worker(s3)] : []),
			...(edge ? edgeWorkers(edge) : []),
		],
	}),
);
process.on("SIGTERM", () => {
	void miniflare.dispose().then(() => process.exit(0));
});
await miniflare.ready;
