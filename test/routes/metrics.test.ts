import { createExecutionContext, evictDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { app } from "../../src/app.ts";
import { collectorOf } from "../../src/objects.ts";
import { bindings, newAccount } from "../support/account.ts";
import { HOLD } from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { eventually } from "../support/eventually.ts";
import { fixture } from "../support/images.ts";
import {
	events,
	fakeWorker,
	startedJob,
	type TestJob,
	words,
} from "../support/jobs.ts";
import { type Family, parse } from "../support/prometheus.ts";

const PIXELS = `data:image/png;base64,${fixture("place.png").bytes.toBase64()}`;

const ADMIN = { Authorization: "Bearer test-admin-secret-test-admin-secret" };
const get = (headers: Record<string, string> = ADMIN) =>
	edge.fetch("http://edge/metrics", { headers });

async function scraped(): Promise<Map<string, Family>> {
	const response = await get();
	expect(response.status).toBe(200);
	return parse(await response.text());
}

/** The value of one series; 0 where there is none yet. */
function sampleOf(
	families: Map<string, Family>,
	name: string,
	labels: Record<string, string> = {},
): number {
	const family = families.get(
		`minigpt4_edge_${name.replace(/_(count|sum)$/, "")}`,
	);
	const sample = family?.samples.find(
		(each) =>
			each.name === `minigpt4_edge_${name}` &&
			Object.entries(labels).every(
				([label, value]) => each.labels[label] === value,
			),
	);
	return sample?.value ?? 0;
}

const create = (key: string, body: object, headers = {}) =>
	edge.fetch("http://edge/v1/jobs", {
		method: "POST",
		headers: {
			Authorization: `Bearer ${key}`,
			"Content-Type": "application/json",
			...headers,
		},
		body: JSON.stringify(body),
	});

describe("GET /metrics", () => {
	it("is for those who hold the admin secret alone", async () => {
		for (const headers of [{}, { Authorization: "Bearer wrong" }] as Record<
			string,
			string
		>[]) {
			const refused = await get(headers);
			expect(refused.status).toBe(401);
			expect(await refused.text()).not.toContain("minigpt4_edge_");
		}
		const without = { ...bindings, ADMIN_SECRET: undefined };
		const unset = await app.request(
			"/metrics",
			{ headers: ADMIN },
			without,
			createExecutionContext(),
		);
		expect(unset.status).toBe(404);
	});

	it("is Prometheus' text format, and names every metric before anything happened", async () => {
		const response = await get();
		expect(response.headers.get("Content-Type")).toBe(
			"text/plain; version=0.0.4; charset=utf-8",
		);
		expect([...parse(await response.text()).keys()]).toEqual(
			[
				"admissions_total",
				"queue_seconds",
				"first_token_seconds",
				"attempts_total",
				"seams_total",
				"jobs_total",
				"tokens_total",
				"settle_lag_seconds",
				"ledger_audits_total",
				"pool_up",
				"queue_jobs",
				"running_jobs",
				"ready_slots",
				"queued_seconds_per_slot",
				"workers",
			].map((name) => `minigpt4_edge_${name}`),
		);
	});

	it("counts calls by answer, and a job's attempts, seams, tokens, times and end", async () => {
		// Enough for one.
		const account = await newAccount(HOLD);
		const image = { url: PIXELS };
		const body = { prompt: "What is this?", images: [image], model: "nano" };
		fakeWorker({
			tokens: words(6),
			every: 5,
			faults: { 1: { error: "engine_failed", after: 3 } },
		});
		const before = await scraped();
		const headers = { "Idempotency-Key": "k", Accept: "text/event-stream" };
		await (await create(account.key, body, headers)).text();
		await (await create(account.key, body, headers)).text();
		expect((await create(account.key, { ...body, prompt: "?" })).status).toBe(
			402,
		);
		expect(
			(await create(account.key, { ...body, prompt: "!" }, headers)).status,
		).toBe(409);
		const model = "nano";
		const more = async (name: string, labels: Record<string, string> = {}) =>
			sampleOf(await scraped(), name, { model, ...labels }) -
			sampleOf(before, name, { model, ...labels });
		await eventually(async () =>
			expect(await more("jobs_total", { status: "succeeded" })).toBe(1),
		);
		for (const [answer, times] of [
			["new", 1],
			["same", 1],
			["insufficient_credit", 1],
			["idempotency_conflict", 1],
		] as const)
			expect([answer, await more("admissions_total", { answer })]).toEqual([
				answer,
				times,
			]);
		expect(await more("attempts_total", { ending: "engine_failed" })).toBe(1);
		expect(await more("attempts_total", { ending: "finished" })).toBe(1);
		expect(await more("seams_total", { planned: "false" })).toBe(1);
		expect(await more("tokens_total", { kind: "output" })).toBe(6);
		expect(await more("tokens_total", { kind: "prompt" })).toBe(20);
		for (const name of [
			"queue_seconds",
			"first_token_seconds",
			"settle_lag_seconds",
		]) {
			expect([name, await more(`${name}_count`)]).toEqual([name, 1]);
			expect(await more(`${name}_sum`)).toBeLessThan(5);
		}
	});

	it("shows what waits and what runs now, by model", async () => {
		const worker = fakeWorker({ tokens: words(400), every: 100 });
		worker.slots = 2;
		const jobs: TestJob[] = [];
		for (let n = 0; n < 3; n++) jobs.push(await startedJob());
		await eventually(async () => {
			const now = await scraped();
			const of = (name: string, labels = {}) =>
				sampleOf(now, name, { model: "nano", ...labels });
			expect(of("running_jobs")).toBe(2);
			expect(of("queue_jobs")).toBe(1);
			expect(of("ready_slots")).toBe(2);
			expect(of("queued_seconds_per_slot")).toBeGreaterThan(0);
			expect(of("workers", { state: "ready" })).toBe(1);
			expect(of("pool_up")).toBe(1);
			expect(sampleOf(now, "queue_jobs", { model: "vicuna-7b" })).toBe(0);
		});
		for (const job of jobs) await job.stub().cancel();
	});

	it("never shows a counter that falls, even when its object is restarted", async () => {
		fakeWorker({ tokens: ["x"] });
		await events(await startedJob());
		const model = { model: "nano", status: "succeeded" };
		await eventually(async () =>
			expect(sampleOf(await scraped(), "jobs_total", model)).toBeGreaterThan(0),
		);
		const before = sampleOf(await scraped(), "jobs_total", model);
		await evictDurableObject(collectorOf(bindings));
		expect(sampleOf(await scraped(), "jobs_total", model)).toBe(before);
	});

	it("says nothing of who asked what", async () => {
		fakeWorker({ tokens: ["a private answer"] });
		const account = await newAccount(10_000);
		const body = {
			prompt: "a private question",
			images: [{ url: PIXELS }],
			metadata: { name: "a private name" },
		};
		const created = await create(account.key, body, { Prefer: "wait=10" });
		const { id } = await created.json<{ id: string }>();
		await new Promise((resolve) => setTimeout(resolve, 1_500));
		const text = await (await get()).text();
		for (const secret of ["private", id, account.id, account.key, "nano.test"])
			expect(text).not.toContain(secret);
	});
});
