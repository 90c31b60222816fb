/**
 * Wrangler, which deploys: it takes the Worker as it is, and its own server runs it on what `npm
 * start` left.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { developmentAccount } from "../../scripts/development.mjs";
import { node, root } from "../../scripts/paths.mjs";
import { freePort } from "../../scripts/ports.mjs";
import { launch } from "../../scripts/process.mjs";
import { secretsOf, writePrivate } from "../../scripts/secrets.mjs";
import { bundleEdge, startEdge } from "../../scripts/stack.mjs";

const WRANGLER = join(root, "node_modules/wrangler/bin/wrangler.js");

let state: string;
let env: Record<string, string>;
beforeAll(async () => {
	state = await mkdtemp(join(tmpdir(), "minigpt4-wrangler-"));
	env = {
		XDG_CONFIG_HOME: join(state, "wrangler"),
		WRANGLER_SEND_METRICS: "false",
		WRANGLER_LOG_PATH: join(state, "log"),
		CLOUDFLARE_CF_FETCH_ENABLED: "false",
		FORCE_COLOR: "0",
	};
});
afterAll(() => rm(state, { recursive: true, force: true }));

test("`wrangler deploy --dry-run` bundles the Worker, its bindings and the page", async () => {
	const { stdout } = await promisify(execFile)(
		node,
		[WRANGLER, "deploy", "--dry-run", "--outdir", join(state, "deployed")],
		{ cwd: root, env: { ...process.env, ...env } },
	);
	const config = await readFile(join(root, "wrangler.toml"), "utf8");
	const bindings = [...config.matchAll(/^(?:name|binding) = "([A-Z]+)"$/gm)];
	expect(bindings.length).toBeGreaterThan(3);
	for (const [, name] of bindings) expect(stdout).toContain(`env.${name}`);
	expect(stdout).toContain("--dry-run: exiting now.");
	const module = await readFile(join(state, "deployed/index.js"), "utf8");
	expect(module.length).toBeGreaterThan(100_000);
});

test("`wrangler dev` serves API and page, with the accounts made on Miniflare", async () => {
	const secrets = secretsOf(state);
	const { adminSecret } = secrets;
	const s3 = { port: await freePort() };
	const worker = "http://127.0.0.1:1";
	const edge = await startEdge({
		port: await freePort(),
		state,
		secrets,
		s3,
		worker,
		bundle: await bundleEdge(join(state, "bundle")),
	});
	const { key } = await developmentAccount({
		edge: edge.url,
		state,
		adminSecret,
	});
	await edge.stop();

	const vars = join(state, "dev.env");
	writePrivate(
		vars,
		Object.entries({
			ENVIRONMENT: "development",
			KEY_SECRETS: secrets.keySecret,
			ADMIN_SECRET: adminSecret,
			WORKER_URL: worker,
			WORKER_KEY: secrets.workerKey,
			S3_ENDPOINT: edge.s3,
			S3_ACCESS_KEY_ID: secrets.s3AccessKey,
			S3_SECRET_ACCESS_KEY: secrets.s3SecretKey,
		})
			.map(([name, value]) => `${name}="${value}"\n`)
			.join(""),
	);
	const port = await freePort();
	const daemon = await launch(
		node,
		[
			WRANGLER,
			"dev",
			"--ip",
			"127.0.0.1",
			"--port",
			String(port),
			"--inspector-port",
			"0",
			"--env-file",
			vars,
			"--persist-to",
			join(state, "edge"),
			"--show-interactive-dev-session",
			"false",
		],
		{ log: join(state, "log", "dev.log"), env },
	);
	try {
		const get = (path: string) =>
			fetch(`http://127.0.0.1:${port}${path}`, {
				headers: { Authorization: `Bearer ${key}` },
			}).catch(() => null);
		while (!(await get("/healthz"))) {
			expect(daemon.exit, await readFile(daemon.log, "utf8")).toBeUndefined();
			await sleep(100);
		}
		const account = await get("/v1/account");
		expect(account?.status).toBe(200);
		expect(await account?.json()).toMatchObject({ balance: { held: 0 } });
		const page = await get("/");
		expect(page?.headers.get("Content-Security-Policy")).toContain(
			`connect-src 'self' ${new URL(edge.s3).origin};`,
		);
		expect((await get("/playground/app.js"))?.status).toBe(200);
	} finally {
		await daemon.stop();
	}
});
