/**
 * schemathesis, over the whole OpenAPI document: what it sends is answered as the document says,
 * with a key and without.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { root, venv } from "../../scripts/paths.mjs";
import { FakeWorker } from "../support/fake-worker.ts";
import { serve } from "../support/fake-worker-server.ts";
import { Client } from "./client.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { type Payments, startPayments, WEBHOOK_SECRET } from "./payments.ts";

/** For all that it does here. */
const WITHIN_MS = 300_000;
const CONFIG = join(root, "test/e2e/schemathesis.toml");
const PHOTO = join(root, "samples/cat.jpg");

let stack: Deployment;
let worker: { url: string; stop: () => Promise<void> };
let payments: Payments;
let folder: string;
const began = Date.now();

beforeAll(async () => {
	const scripted = new FakeWorker({ tokens: ["A ", "cat", "."] });
	worker = await serve(scripted);
	folder = await mkdtemp(join(tmpdir(), "minigpt4-schemathesis-"));
	payments = await startPayments(folder);
	stack = await deploy(
		{
			STRIPE: JSON.stringify({
				secret_key: "sk_test_123",
				webhook_secret: WEBHOOK_SECRET,
				api: payments.url,
			}),
			LIMIT_REQUESTS_PER_MINUTE: "1000000",
			LIMIT_TOKENS_PER_MINUTE: "1000000000",
			LIMIT_CONCURRENT_JOBS: "100000",
			// Nobody there: names that it makes up lead nowhere at once.
			DNS_URL: "http://127.0.0.1:1",
		},
		async () => worker.url,
	);
	payments.webhook = `${stack.url}/internal/stripe`;
	// A card that is kept, which automatic top-ups need.
	const page = await new Client(stack.url, stack.key).post("/billing/top-ups", {
		amount: 1_000_000,
		save_card: true,
	});
	const { url } = (await page.json()) as { url: string };
	await fetch(url, { redirect: "manual" });
	scripted.key = stack.secrets.workerKey;
	scripted.allowed = [new URL(stack.s3).hostname];
});
afterAll(async () => {
	await stack?.stop();
	await worker?.stop();
	await payments?.stop();
	if (folder) await rm(folder, { recursive: true, force: true });
});

/** What the operations find, each under the name that the configuration has for it. */
async function things(): Promise<Record<string, string>> {
	const client = new Client(stack.url, stack.key);
	const idOf = async (answer: Promise<Response>) =>
		((await (await answer).json()) as { id: string }).id;
	const photo = await readFile(PHOTO);
	const upload = () =>
		idOf(
			client.call("/uploads", {
				method: "POST",
				headers: { "Content-Type": "image/jpeg" },
				body: new Uint8Array(photo),
			}),
		);
	const job = () =>
		idOf(client.post("/jobs", { prompt: "?" }, { Prefer: "wait=30" }));
	const webhook = () =>
		idOf(client.post("/webhooks", { url: "https://example.com/hooks" }));
	const other = new Client(stack.url, await stack.stranger());
	return {
		JOB: await job(),
		SPENT_JOB: await job(),
		NEW_JOB: "01JD8Z6Q3V9Y4K2M7N5P8R1S3V",
		UPLOAD: await upload(),
		SPENT_UPLOAD: await upload(),
		WEBHOOK: await webhook(),
		SPENT_WEBHOOK: await webhook(),
		SPENT_KEY: await idOf(client.post("/keys", { name: "spent" })),
		ROTATED_KEY: await idOf(client.post("/keys", { name: "rotated" })),
		CHANGED_KEY: await idOf(client.post("/keys", { name: "changed" })),
		OTHER_ACCOUNT: (await other.get("/account")).id,
		OTHER_KEY: (await other.get("/keys")).data[0].id,
		ACCOUNT: (await client.get("/account")).id,
	};
}

interface Ran {
	/** What it found, in its words; empty where it found nothing. */
	findings: string;
	/** What each operation answered, call by call. */
	statuses: Map<string, number[]>;
}

/** @param auth what goes into the configuration beside what stands there */
async function run(auth: string, ...more: string[]): Promise<Ran> {
	const config = join(folder, "schemathesis.toml");
	const report = join(folder, "report.ndjson");
	let text = await readFile(CONFIG, "utf8");
	for (const [name, value] of Object.entries(await things()))
		text = text.replaceAll(`\${${name}}`, value);
	await writeFile(config, text + auth);
	const findings = await new Promise<string>((resolve) => {
		execFile(
			join(venv, "bin", "schemathesis"),
			[
				"--config-file",
				config,
				"run",
				`${stack.url}/openapi.json`,
				"--report",
				"ndjson",
				"--report-ndjson-path",
				report,
				"--no-color",
				...more,
			],
			{
				cwd: folder,
				maxBuffer: 1e9,
				timeout: Math.max(1, began + WITHIN_MS - Date.now()),
			},
			(error, stdout, stderr) =>
				resolve(error ? `${stdout}${stderr}\n${error.message}` : ""),
		);
	});
	return { findings, statuses: statusesIn(await readFile(report, "utf8")) };
}

interface Interaction {
	request: { method: string };
	response: { status_code: number } | null;
}
interface Scenario {
	recorder: {
		/** The operation's method and path, but of calls in a row. */
		label: string;
		interactions?: Record<string, Interaction>;
	};
}

function statusesIn(report: string): Ran["statuses"] {
	const statuses: Ran["statuses"] = new Map();
	for (const line of report.split("\n").filter(Boolean)) {
		const { ScenarioFinished } = JSON.parse(line) as {
			ScenarioFinished?: Scenario;
		};
		if (!ScenarioFinished) continue;
		const { label, interactions = {} } = ScenarioFinished.recorder;
		const seen = statuses.get(label) ?? [];
		statuses.set(label, seen);
		// The others are there to be refused, or are preflights.
		for (const { request, response } of Object.values(interactions))
			if (response && label.startsWith(`${request.method} `))
				seen.push(response.status_code);
	}
	return statuses;
}

const isGood = (status: number) => status >= 200 && status < 300;

describe("what schemathesis finds in the OpenAPI document", () => {
	test(
		"is no 5xx and nothing that is not in it, with a key; and each operation does its work",
		async () => {
			const { findings, statuses } = await run(`
[auth.openapi.key]
bearer = "${stack.key}"

[auth.openapi.admin]
bearer = "${stack.secrets.adminSecret}"
`);
			expect(findings).toBe("");
			const document = await (await fetch(`${stack.url}/openapi.json`)).json();
			const { paths } = document as { paths: Record<string, object> };
			const idle = Object.entries(paths)
				.flatMap(([path, methods]) =>
					Object.keys(methods).map(
						(method) => `${method.toUpperCase()} ${path}`,
					),
				)
				.filter((label) => !statuses.get(label)?.some(isGood));
			// What it draws at random is no picture, and this route takes nothing else. An account is
			// closed by who knows its id.
			expect(idle).toEqual(["POST /v1/files", "DELETE /v1/account"]);
		},
		WITHIN_MS,
	);

	test(
		"is the same without a key, and nothing is done but models and public keys shown",
		async () => {
			const { findings, statuses } = await run(
				"",
				"--phases",
				"examples,coverage",
			);
			expect(findings).toBe("");
			const done = [...statuses]
				.filter(([, seen]) => seen.some(isGood))
				.map(([label]) => label);
			expect(done).toEqual([
				"GET /.well-known/jwks.json",
				"GET /v1/models",
				"GET /v1/models/{id}",
			]);
		},
		WITHIN_MS,
	);
});
