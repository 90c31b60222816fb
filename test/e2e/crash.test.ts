/**
 * `kill -9` of the edge, the whole process group, at the worst moments; a scripted worker behind
 * it, a real bucket.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { developmentAccount } from "../../scripts/development.mjs";
import { root } from "../../scripts/paths.mjs";
import { freePort } from "../../scripts/ports.mjs";
import { secretsOf } from "../../scripts/secrets.mjs";
import {
	bundleEdge,
	type Server,
	startEdge,
	startS3,
} from "../../scripts/stack.mjs";
import { eventually } from "../support/eventually.ts";
import { FakeWorker, FIRST_ID } from "../support/fake-worker.ts";
import { serve } from "../support/fake-worker-server.ts";
import { sumOf } from "../support/prices.ts";
import { Client, type Seen, textOf } from "./client.ts";

/** Red, 8 x 8. */
const PNG =
	"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mM4ISeHFTEMLQkAkL9BAc9woTwAAAAASUVORK5CYII=";
const words = (count: number) =>
	Array.from({ length: count }, (_, n) => ` word${n}`);

/** How many tokens a prompt asks for, how fast, and whether the first attempt stops halfway. */
const worker = new FakeWorker((prompt) => {
	const tokens = words(Number(/\d+/.exec(prompt)?.[0] ?? 3));
	return {
		tokens,
		every: /^(slow|stuck)/.test(prompt) ? 40 : 1,
		gate: (n, attempt) =>
			prompt.startsWith("stuck") && attempt === 1 && n === tokens.length / 2
				? new Promise(() => {})
				: undefined,
	};
});
worker.allowed = ["127.0.0.1"];

let edge: Server;
let client: Client;
/** As before the crash, on the same port and data. */
let start: () => Promise<Server>;
const stops: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
	const state = await mkdtemp(join(tmpdir(), "minigpt4-crash-"));
	stops.push(() => rm(state, { recursive: true, force: true }));
	const secrets = secretsOf(state);
	worker.key = secrets.workerKey;
	holder.listen(0, "127.0.0.1");
	await once(holder, "listening");
	stops.push(async () => void holder.close());
	const hold = `http://127.0.0.1:${(holder.address() as AddressInfo).port}`;
	const gpu = await serve(worker);
	stops.push(gpu.stop);
	const s3 = await startS3({ port: await freePort(), state, secrets });
	stops.push(s3.stop);
	const port = await freePort();
	const entry = join(root, "test/support/held-edge.ts");
	const bundle = await bundleEdge(join(state, "bundle"), { entry });
	start = () =>
		startEdge({
			port,
			state,
			secrets,
			s3: s3.url,
			worker: gpu.url,
			bundle,
			vars: {
				LIMIT_REQUESTS_PER_MINUTE: "100000",
				LIMIT_TOKENS_PER_MINUTE: "1000000000",
				HOLD_URL: hold,
			},
		});
	edge = await start();
	stops.push(() => edge.stop());
	const { adminSecret } = secrets;
	const { key } = await developmentAccount({
		edge: edge.url,
		state,
		adminSecret,
	});
	client = new Client(edge.url, key);
});

afterAll(async () => {
	for (const stop of stops.reverse()) await stop();
});

/** Told when the edge waits in the moment that it holds open. Without one, it is let go at once. */
let onHeld: (() => void) | undefined;
const holder = createServer((_, answer) => {
	if (onHeld) onHeld();
	else answer.end();
});
/** From now on the edge is held, until it is killed. */
const held = () =>
	new Promise<void>((resolve) => {
		onHeld = resolve;
	});

const crash = async () => {
	await edge.daemon.kill();
	onHeld = undefined;
	edge = await start();
};

const job = (prompt: string) => ({
	images: [{ url: PNG }],
	prompt,
	temperature: 0,
});

/** The log as a late reader finds it: complete, in order, and what `done` says of it. */
async function whole(id: string): Promise<Seen[]> {
	const seen = await client.events(id);
	expect(seen.map(({ seq }) => seq)).toEqual(seen.map((_, n) => n + 1));
	expect(seen.at(-1)?.data).toMatchObject({
		last_seq: seen.length,
		sha256: createHash("sha256").update(textOf(seen)).digest("hex"),
	});
	return seen;
}

/** The price in a log, which is the sum of its parts. */
function paidIn(log: Seen[]): number {
	const { price, price_parts } = log.at(-2)?.data ?? {};
	expect(price).toBe(sumOf(price_parts));
	return price;
}

test("kill -9 mid-stream: the job ends, the log is whole, resumes work, one debit", async () => {
	const before = await client.balance();
	const ids = await Promise.all(
		Array.from({ length: 3 }, () => client.create(job("stuck 80"))),
	);
	const seen = ids.map(() => 0);
	const firsts = ids.map((id, n) =>
		client.events(id, 0, ({ seq }) => {
			seen[n] = seq;
			return false;
		}),
	);
	await eventually(() => expect(Math.min(...seen)).toBeGreaterThan(20), {
		timeout: 60_000,
		interval: 50,
	});
	await crash();
	let paid = 0;
	for (const [n, id] of ids.entries()) {
		const first = (await firsts[n]) as Seen[];
		expect(first.at(-1)?.type).toBe("token");
		const rest = await client.events(id, first.at(-1)?.seq);
		const log = await whole(id);
		expect([...first, ...rest].map(({ raw }) => raw)).toEqual(
			log.map(({ raw }) => raw),
		);
		expect(textOf(log)).toBe(words(80).join(""));
		paid += paidIn(log);
		expect(log.find(({ type }) => type === "job.retrying")?.data).toMatchObject(
			{
				reason: "restarted",
			},
		);
		const attempts = worker.requests.filter(({ request_id }) =>
			request_id.startsWith(id),
		);
		const committed = attempts.at(-1)?.committed_token_ids ?? [];
		expect(committed.length).toBeGreaterThan(0);
		expect(committed).toEqual(committed.map((_, at) => FIRST_ID + at));
	}
	expect(await client.balance()).toEqual({
		available: before.available - paid,
		held: 0,
	});
});

test("two hundred readers of one job, joining all along, get the same whole in order", async () => {
	const id = await client.create(job("slow 60"));
	const readers = Array.from({ length: 200 }, async (_, n) => {
		await sleep(n * 8);
		return client.events(id);
	});
	const log = (await whole(id)).map(({ raw }) => raw);
	for (const seen of await Promise.all(readers))
		expect(seen.map(({ raw }) => raw)).toEqual(log);
});

test("kill -9 between last token and settle: one debit, and the log ends", async () => {
	const before = await client.balance();
	const settling = held();
	const id = await client.create(job("write 7"));
	await settling;
	expect((await client.get(`/jobs/${id}`)).usage.output_tokens).toBe(7);
	await eventually(() => expect(worker.running).toBe(0), 30_000);
	expect((await client.balance()).held).toBeGreaterThan(0);
	await crash();
	const log = await whole(id);
	expect(textOf(log)).toBe(words(7).join(""));
	expect(await client.balance()).toEqual({
		available: before.available - paidIn(log),
		held: 0,
	});
	expect(
		worker.requests.filter(({ request_id }) => request_id.startsWith(id)),
	).toHaveLength(1);
});

test("kill -9 between debit and acknowledgement: the repeat debits nothing", async () => {
	const before = await client.balance();
	const settled = held();
	const id = await client.create(job("write 8"));
	await settled;
	expect((await client.balance()).held).toBe(0);
	expect((await client.get(`/jobs/${id}`)).finished_at).toBe(null);
	await crash();
	const log = await whole(id);
	expect(log.at(-2)?.data).toMatchObject({ status: "succeeded" });
	expect(await client.balance()).toEqual({
		available: before.available - paidIn(log),
		held: 0,
	});
});

test("kill -9 between admit and claim: never ran, the hold is free a minute later", async () => {
	const before = await client.balance();
	const claiming = held();
	const lost = client.post("/jobs", job("hold before the claim"));
	lost.catch(() => {});
	await claiming;
	expect((await client.balance()).held).toBeGreaterThan(0);
	await crash();
	await expect(lost).rejects.toThrow();
	expect((await client.balance()).held).toBeGreaterThan(0);
	const [row] = (await client.get("/jobs?limit=1")).data;
	expect(row.status).toBe("accepted");
	expect((await client.call(`/jobs/${row.id}`)).status).toBe(404);
	for (const deadline = Date.now() + 90_000; Date.now() < deadline; ) {
		if ((await client.balance()).held === 0) break;
		await sleep(1_000);
	}
	expect(await client.balance()).toEqual(before);
	expect((await client.call(`/jobs/${row.id}`)).status).toBe(410);
	expect(
		worker.requests.some(({ request_id }) => request_id.startsWith(row.id)),
	).toBe(false);
}, 240_000);
