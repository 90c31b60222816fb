/** The edge in the runtime itself, with nothing before it: `wrangler dev` has a proxy of its own, which production has not. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { developmentAccount } from "../../scripts/development.mjs";
import * as paths from "../../scripts/paths.mjs";
import { freePort } from "../../scripts/ports.mjs";
import { run } from "../../scripts/process.mjs";
import { secretsOf } from "../../scripts/secrets.mjs";

export interface BareEdge {
	url: string;
	/** An API key with credit. */
	key: string;
	/** What it has logged so far, line by line. */
	lines: string[];
	stop: () => Promise<void>;
}

const OBJECTS = ["Account", "Job", "Pool", "Metrics", "Endpoint"];

/** The one that wrangler brings, so that both run the same workerd. */
const wrangler = createRequire(
	join(paths.root, "node_modules/wrangler/package.json"),
);

/**
 * @param state folder for what it writes. It serves no page, and has no image store
 * @param vars configuration on top of that: without it there is no worker
 */
export async function startBareEdge(
	state: string,
	vars: Record<string, string> = {},
): Promise<BareEdge> {
	const bundle = join(state, "bundle");
	await run(
		paths.node,
		[
			join(paths.root, "node_modules/wrangler/bin/wrangler.js"),
			...["deploy", "--dry-run", "--outdir", bundle],
		],
		{
			what: "wrangler deploy --dry-run",
			cwd: paths.root,
			log: join(state, "bundle.log"),
			env: { XDG_CONFIG_HOME: state, WRANGLER_SEND_METRICS: "false" },
		},
	);
	const { Miniflare, convertV4MiniflareOptions } = wrangler("miniflare");
	const secrets = secretsOf(state);
	const port = await freePort();
	const lines: string[] = [];
	const miniflare = new Miniflare(
		convertV4MiniflareOptions({
			modules: [{ type: "ESModule", path: join(bundle, "index.js") }],
			modulesRoot: bundle,
			compatibilityDate: "2026-11-01",
			compatibilityFlags: ["nodejs_compat", "enable_request_signal"],
			durableObjects: Object.fromEntries(
				OBJECTS.map((className) => [
					className.toUpperCase(),
					{ className, useSQLite: true },
				]),
			),
			bindings: {
				ENVIRONMENT: "development",
				KEY_SECRETS: secrets.keySecret,
				ADMIN_SECRET: secrets.adminSecret,
				WORKER_URL: "http://127.0.0.1:1",
				WORKER_KEY: secrets.workerKey,
				S3_ENDPOINT: "http://127.0.0.1:1",
				S3_ACCESS_KEY_ID: secrets.s3AccessKey,
				S3_SECRET_ACCESS_KEY: secrets.s3SecretKey,
				LIMIT_REQUESTS_PER_MINUTE: "1000000",
				...vars,
			},
			unsafeDirectSockets: [{ host: "127.0.0.1", port }],
			handleStructuredLogs: ({ message }: { message: string }) => {
				lines.push(message);
			},
		}),
	);
	await miniflare.ready;
	const url = `http://127.0.0.1:${port}`;
	const { adminSecret } = secrets;
	const { key } = await developmentAccount({ edge: url, state, adminSecret });
	return { url, key, lines, stop: () => miniflare.dispose() };
}
