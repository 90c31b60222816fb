import { beforeEach, describe, expect, it, vi } from "vitest";
import { newAccount } from "../support/account.ts";
import { edge } from "../support/edge.ts";
import { fixture } from "../support/images.ts";
import { fakeWorker } from "../support/jobs.ts";

/** The `traceparent` that the worker got with each attempt. */
const traces: (string | null)[] = [];
const through = globalThis.fetch;
globalThis.fetch = (input, init) => {
	const request = new Request(input as RequestInfo, init as RequestInit);
	if (request.url.endsWith("/v1/generate"))
		traces.push(request.headers.get("traceparent"));
	return through(request);
};
beforeEach(() => {
	traces.length = 0;
});

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const image = `data:image/png;base64,${fixture("place.png").bytes.toBase64()}`;

async function asked(headers: Record<string, string> = {}) {
	const { key } = await newAccount(10_000);
	const authorization = { Authorization: `Bearer ${key}` };
	const created = await edge.fetch("http://edge/v1/jobs", {
		method: "POST",
		headers: {
			...authorization,
			"Content-Type": "application/json",
			Prefer: "wait=20",
			...headers,
		},
		body: JSON.stringify({ prompt: "?", images: [{ url: image }] }),
	});
	const { id } = await created.json<{ id: string }>();
	const read = (path = "") =>
		edge.fetch(`http://edge/v1/jobs/${id}${path}`, { headers: authorization });
	return { created, id, read };
}

/** The milliseconds of each step. */
const timingsOf = ({ headers }: Response): Record<string, number> =>
	Object.fromEntries(
		(headers.get("Server-Timing") ?? "").split(", ").map((entry) => {
			const [, step, ms] = /^(\w+);dur=(\d+)$/.exec(entry) ?? [];
			expect(step).toBeDefined();
			return [step, Number(ms)];
		}),
	);

describe("a trace", () => {
	it("reaches the worker with every attempt, and every log line about the job", async () => {
		const lines: Record<string, unknown>[] = [];
		vi.spyOn(console, "log").mockImplementation((line) => {
			lines.push(JSON.parse(line));
		});
		fakeWorker({
			tokens: ["a", "b"],
			faults: { 1: { error: "engine_failed" }, 2: { break: true, after: 1 } },
		});
		const { created, id } = await asked({
			traceparent: `00-${TRACE}-${SPAN}-01`,
		});
		expect(created.status).toBe(200);
		const sent = traces.map((trace) => trace?.split("-"));
		expect(sent).toHaveLength(3);
		for (const [version, trace, , flags] of sent as string[][])
			expect([version, trace, flags]).toEqual(["00", TRACE, "01"]);
		const spans = sent.map((parts) => parts?.[2]);
		expect(new Set([SPAN, ...spans]).size).toBe(4);
		const ours = lines.filter(({ trace }) => trace === TRACE);
		expect(ours.map(({ event }) => event).sort()).toEqual([
			"attempt_failed",
			"attempt_failed",
			"job",
			"request",
		]);
		for (const { event, job, route, request_id } of ours)
			if (event === "request") {
				expect(route).toBe("/v1/jobs");
				expect(request_id).toBe(created.headers.get("X-Request-Id"));
			} else expect(job).toBe(id);
		vi.restoreAllMocks();
	});

	it("is created here if the caller sends no valid one", async () => {
		for (const traceparent of [undefined, `00-${"0".repeat(32)}-${SPAN}-01`]) {
			fakeWorker({ tokens: ["a"] });
			traces.length = 0;
			await asked(traceparent ? { traceparent } : {});
			expect(traces).toEqual([
				expect.stringMatching(/^00-(?!0{32})[0-9a-f]{32}-[0-9a-f]{16}-01$/),
			]);
		}
	});
});

describe("Server-Timing", () => {
	it("reports the steps of creating a job, and of reading it", async () => {
		fakeWorker({ tokens: ["a"] });
		const { created, read } = await asked();
		expect(Object.keys(timingsOf(created)).sort()).toEqual([
			"admit",
			"auth",
			"images",
			"start",
		]);
		expect(created.headers.get("Timing-Allow-Origin")).toBe("*");
		expect(Object.keys(timingsOf(await read()))).toEqual(["auth", "read"]);
		expect(Object.keys(timingsOf(await read("/events")))).toEqual([
			"auth",
			"read",
		]);
	});

	it("reports the steps of a refused call up to the refusal", async () => {
		const { key } = await newAccount(0);
		const refused = await edge.fetch("http://edge/v1/jobs", {
			method: "POST",
			headers: {
				Authorization: `Bearer ${key}`,
				"Content-Type": "application/json",
			},
			body: JSON.stringify({ prompt: "?", images: [{ url: image }] }),
		});
		expect(refused.status).toBe(402);
		expect(Object.keys(timingsOf(refused))).toEqual(["auth"]);
	});

	it("is left out of a response without such steps", async () => {
		const health = await edge.fetch("http://edge/healthz");
		expect(health.status).toBe(200);
		expect(health.headers.get("Server-Timing")).toBe(null);
	});
});
