import { describe, expect, it } from "vitest";
import { config } from "../../src/env.ts";

import { Pool, PoolList } from "../../src/schema/pool.ts";
import { bindings } from "../support/account.ts";
import { edge } from "../support/edge.ts";
import { fakeWorker, gate, startedJob } from "../support/jobs.ts";

const SECRET = "test-admin-secret-test-admin-secret";

const get = async (path: string, secret: string | null = SECRET) => {
	const response = await edge.fetch(`http://edge.test/admin/pools${path}`, {
		headers: secret ? { Authorization: `Bearer ${secret}` } : {},
	});
	return { status: response.status, body: await response.json() };
};

describe("the pools", () => {
	it("are shown to operators only", async () => {
		for (const secret of [null, "another"])
			for (const path of ["", "/nano"])
				expect(await get(path, secret)).toMatchObject({
					status: 401,
					body: { code: "invalid_admin_secret" },
				});
	});

	it("tell what runs, what waits and what autoscaling reads, for each model", async () => {
		const { opened, open } = gate();
		const worker = fakeWorker({ tokens: [" one"], gate: () => opened });
		worker.slots = 1;
		for (let n = 0; n < 3; n++) await startedJob();
		const { status, body } = await get("/nano");
		expect(status).toBe(200);
		expect(Pool.strict().parse(body)).toMatchObject({
			object: "pool",
			model: "nano",
			running: 1,
			waiting: 2,
			ready_slots: 1,
			queued_seconds_per_slot: expect.any(Number),
			workers: [{ origin: "http://nano.test", state: "ready" }],
		});
		const all = PoolList.parse((await get("")).body).data;
		expect(all.map(({ model }) => model)).toEqual([
			...config(bindings).models.keys(),
		]);
		const vicuna = all.find(({ model }) => model === "vicuna-7b");
		expect(vicuna).toMatchObject({
			waiting: 0,
			ready_slots: 0,
			queued_seconds_per_slot: 0,
			workers: [{ origin: "http://vicuna.test", state: "away" }],
		});
		open();
	});

	it("answer 404 for a model that is not served, and say which are", async () => {
		const { status, body } = await get("/gpt-5");
		expect([status, body]).toMatchObject([404, { code: "model_not_found" }]);
	});
});
