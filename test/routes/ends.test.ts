import { listDurableObjectIds, runInDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { UPLOAD_KEPT_MS } from "../../src/account/uploads.ts";
import { unwrap } from "../../src/errors.ts";
import { newJobId } from "../../src/ids.ts";
import { Job } from "../../src/job/job.ts";
import {
	bindings,
	dump,
	newAccount,
	ringAfter,
	type TestAccount,
} from "../support/account.ts";
import {
	call,
	create,
	ended,
	HOLD,
	JOB_REQUEST,
	priceOf,
	refusal,
	uploaded,
	type Wire,
} from "../support/calls.ts";
import { eventually } from "../support/eventually.ts";
import {
	bucket,
	fakeWorker,
	gate,
	money,
	read,
	textOf,
	words,
} from "../support/jobs.ts";

const PRICE = priceOf(3);
const CREDIT = 10_000;
const HOUR = 60 * 60_000;
const DAY = 24 * HOUR;
/** Far enough that no alarm rings before a test lets it. */
const FUTURE = 3_000_000_000_000;

const cancel = (account: TestAccount, id: string) =>
	call(account, `/${id}/cancel`, { method: "POST" });
const remove = (account: TestAccount, id: string) =>
	call(account, `/${id}`, { method: "DELETE" });
const put = (account: TestAccount, id: string, body: object = JOB_REQUEST) =>
	call(account, `/${id}`, { method: "PUT", body });
const idOf = async (response: Promise<Response>): Promise<string> =>
	(await (await response).json<Wire>()).id;
const objectsOf = ({ id }: TestAccount) =>
	[...bucket.keys()].filter((path) => path.includes(id));
const listed = async (account: TestAccount): Promise<string[]> =>
	(await (await call(account, "")).json<Wire>()).data.map(
		({ id }: { id: string }) => id,
	);
const finished = async (account: TestAccount, more: object = {}) => {
	const id = await idOf(create(account, more));
	await ended(account, id);
	return id;
};
/** A job that is in the middle of its answer. */
async function running(account: TestAccount, tokens: number) {
	const hold = gate();
	fakeWorker({
		tokens: words(tokens + 5),
		gate: (n) => (n < tokens ? Promise.resolve() : hold.opened),
	});
	const id = await idOf(create(account));
	await eventually(async () => {
		const job = await (await call(account, `/${id}`)).json<Wire>();
		expect(job.usage.output_tokens).toBe(tokens);
	});
	return { id, open: hold.open };
}

describe("POST /v1/jobs/{id}/cancel", () => {
	it("before the first token is free, and the worker never hears of the job", async () => {
		const hold = gate();
		const worker = fakeWorker({ tokens: words(3), gate: () => hold.opened });
		worker.slots = 1;
		const account = await newAccount(CREDIT);
		const first = await idOf(create(account));
		await eventually(() => expect(worker.requests).toHaveLength(1));
		const second = await idOf(create(account));
		const canceled = await cancel(account, second);
		expect(canceled.status).toBe(200);
		expect(await canceled.json()).toMatchObject({
			status: "canceled",
			price: 0,
			output: { text: "" },
		});
		expect(await money(account)).toEqual({
			available: CREDIT - HOLD,
			held: HOLD,
		});
		hold.open();
		await ended(account, first);
		expect(worker.requests).toHaveLength(1);
	});

	it("in the middle costs its prompt and the tokens that were shown, and keeps them", async () => {
		const account = await newAccount(CREDIT);
		const { id, open } = await running(account, 7);
		const canceled = await cancel(account, id);
		expect([200, 202]).toContain(canceled.status);
		const job = await ended(account, id);
		expect(job).toMatchObject({
			status: "canceled",
			price: priceOf(7),
			output: { text: words(7).join("") },
		});
		expect(await money(account)).toEqual({
			available: CREDIT - priceOf(7),
			held: 0,
		});
		const events = await call(account, `/${id}/events`);
		const seen = await read(events.body as ReadableStream<Uint8Array>);
		expect(textOf(seen)).toBe(words(7).join(""));
		expect(seen.slice(-2).map(({ type }) => type)).toEqual([
			"job.canceled",
			"done",
		]);
		open();
	});

	it("of a job that ended answers it as it is, and of one that is not there, nothing", async () => {
		fakeWorker({ tokens: words(3) });
		const [account, other] = [await newAccount(CREDIT), await newAccount()];
		const id = await finished(account);
		const job = await (await call(account, `/${id}`)).json();
		const before = await dump(account.stub);
		const jobs = await listDurableObjectIds(bindings.JOB);
		for (let times = 0; times < 2; times++) {
			const answer = await cancel(account, id);
			expect([answer.status, await answer.json()]).toEqual([200, job]);
		}
		expect(await dump(account.stub)).toEqual(before);
		for (const [who, unknown] of [
			[other, id],
			[account, newJobId(1)],
			[account, "nonsense"],
		] as const)
			expect(await refusal(await cancel(who, unknown))).toEqual([
				404,
				"job_not_found",
			]);
		expect(await listDurableObjectIds(bindings.JOB)).toEqual(jobs);
	});
});

describe("a job's terms", () => {
	it("reach the Job, counted from its creation", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const start = vi.spyOn(Job.prototype, "start");
		const created = await create(
			account,
			{ expires_in: 3600, on_disconnect: "cancel" },
			{ "Start-Within": "90s", "Cancel-After": "15m" },
		);
		const { created_at } = await created.json<Wire>();
		const at = Date.parse(created_at);
		expect(start.mock.calls[0]?.[0]).toMatchObject({
			expiresIn: 3600,
			onDisconnect: "cancel",
			maxPrice: HOLD,
			startBy: at + 90_000,
			cancelAt: at + 900_000,
			endBy: at + 6 * HOUR,
		});
	});

	it.each([
		{ expires_in: 3_599 },
		{ expires_in: 2_592_001 },
		{ expires_in: "1h" },
		{ on_disconnect: "stop" },
	])("outside of what there is are refused: %j", async (more) => {
		const account = await newAccount(CREDIT);
		expect(await refusal(await create(account, more))).toEqual([
			400,
			"invalid_request",
			Object.keys(more)[0],
		]);
	});
});

describe("DELETE /v1/jobs/{id}", () => {
	it("erases the job and its image at once, for every route; its ledger rows stay", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const id = newJobId(Date.now());
		await put(account, id);
		await ended(account, id);
		const kept = await finished(account);
		const { entry } = await dump(account.stub);
		expect((await remove(account, id)).status).toBe(204);
		await ringAfter(account, 1_000);

		for (const response of [
			await call(account, `/${id}`),
			await call(account, `/${id}/events`),
			await cancel(account, id),
			await put(account, id),
			await put(account, id, { ...JOB_REQUEST, prompt: "Another" }),
		])
			expect(await refusal(response)).toEqual([410, "job_gone"]);
		expect(await listed(account)).toEqual([kept]);
		expect(objectsOf(account)).toHaveLength(1);
		expect(worker.requests).toHaveLength(2);
		const after = await dump(account.stub);
		expect(after.entry).toEqual(entry);
		expect(await money(account)).toEqual({
			available: CREDIT - 2 * PRICE,
			held: 0,
		});
		const row = (after.gone_job as Wire[]).find((job) => job.id === id);
		expect(row).toMatchObject({ status: "succeeded", price: PRICE });
		expect(row.body_hash).toMatch(/^[0-9a-f]{64}$/);
		// Nothing of what was asked or answered is left in the Job either.
		const job = bindings.JOB.get(
			bindings.JOB.idFromName(`${account.id}/${id}`),
		);
		const left = await runInDurableObject(job, (_, { storage: { sql } }) =>
			JSON.stringify(
				sql
					.exec<{ name: string }>(
						"SELECT name FROM sqlite_master WHERE type = 'table' " +
							"AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
					)
					.toArray()
					.map(({ name }) => sql.exec(`SELECT * FROM "${name}"`).toArray()),
			),
		);
		for (const text of [JOB_REQUEST.prompt, "word1", account.id])
			expect(left).not.toContain(text);
	});

	it("again is nothing more to do; of a job that is not there finds nothing", async () => {
		fakeWorker({ tokens: words(3) });
		const [account, other] = [await newAccount(CREDIT), await newAccount()];
		const id = await finished(account);
		expect(await refusal(await remove(other, id))).toEqual([
			404,
			"job_not_found",
		]);
		expect((await remove(account, id)).status).toBe(204);
		const before = await dump(account.stub);
		expect((await remove(account, id)).status).toBe(204);
		expect(await dump(account.stub)).toEqual(before);
		expect(await refusal(await remove(account, newJobId(1)))).toEqual([
			404,
			"job_not_found",
		]);
	});

	it("of a job that has not ended is refused with the way out, and changes nothing", async () => {
		const account = await newAccount(CREDIT);
		const { id, open } = await running(account, 2);
		const before = await dump(account.stub);
		const response = await remove(account, id);
		expect(response.status).toBe(409);
		expect(await response.json()).toMatchObject({
			code: "job_not_finished",
			detail: expect.stringContaining("/cancel"),
		});
		expect(await dump(account.stub)).toEqual(before);
		open();
		expect(await ended(account, id)).toMatchObject({ status: "succeeded" });
		expect((await remove(account, id)).status).toBe(204);
	});

	it("is done later where the Job could not be reached, whatever became of the call", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const id = await finished(account);
		vi.spyOn(Job.prototype, "erase").mockImplementationOnce(() => {
			throw new Error("unreachable");
		});
		expect((await remove(account, id)).status).toBe(500);
		expect((await call(account, `/${id}`)).status).toBe(200);
		await ringAfter(account, 60_000);
		await ringAfter(account, 61_000);
		expect(await refusal(await call(account, `/${id}`))).toEqual([
			410,
			"job_gone",
		]);
		expect(objectsOf(account)).toEqual([]);
	});

	it("leaves an image to another job that uses it, until that one ends", async () => {
		const account = await newAccount(CREDIT);
		fakeWorker({ tokens: words(3) });
		const id = await finished(account);
		const [image] = (await (await call(account, `/${id}`)).json<Wire>()).images;
		const hold = gate();
		fakeWorker({ tokens: words(3), gate: () => hold.opened });
		const second = await idOf(create(account, { images: [image] }));
		expect((await remove(account, id)).status).toBe(204);
		await ringAfter(account, 1_000);
		expect(objectsOf(account)).toHaveLength(1);
		hold.open();
		await ended(account, second);
		await ringAfter(account, 2_000);
		expect(objectsOf(account)).toEqual([]);
	});

	it("leaves an upload of the caller's own", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const upload = await uploaded(account);
		const id = await finished(account, { images: [{ upload }] });
		await remove(account, id);
		await ringAfter(account, 1_000);
		expect(objectsOf(account)).toHaveLength(1);
		unwrap(await account.stub.upload(account.credential, upload));
	});
});

describe("a job that nobody deletes", () => {
	it("expires as it was told to, counted from its end, and so does its image", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const id = newJobId(Date.now());
		const hour = { ...JOB_REQUEST, expires_in: 3_600 };
		await put(account, id, hour);
		await ended(account, id);
		const week = await finished(account);
		await ringAfter(account, HOUR - 60_000);
		expect((await call(account, `/${id}`)).status).toBe(200);
		await ringAfter(account, HOUR + 60_000);
		await ringAfter(account, HOUR + 61_000);
		for (const response of [
			await call(account, `/${id}`),
			await put(account, id, hour),
		])
			expect(await refusal(response)).toEqual([410, "job_gone"]);
		expect(await listed(account)).toEqual([week]);
		expect(objectsOf(account)).toHaveLength(1);
		await ringAfter(account, 7 * DAY - 60_000);
		expect(await listed(account)).toEqual([week]);
		await ringAfter(account, 7 * DAY + 60_000);
		await ringAfter(account, 7 * DAY + 61_000);
		expect(await listed(account)).toEqual([]);
		expect(objectsOf(account)).toEqual([]);
		const { due, upload, image_use } = await dump(account.stub);
		expect({ due, upload, image_use }).toEqual({
			due: [],
			upload: [],
			image_use: [],
		});
		expect(await money(account)).toEqual({
			available: CREDIT - 2 * PRICE,
			held: 0,
		});
	});

	it("expires in batches, where there are many", async () => {
		const account = await newAccount(CREDIT);
		await runInDurableObject(account.stub, (_, { storage: { sql } }) => {
			const many =
				"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)";
			sql.exec(`${many}
				INSERT INTO job
					(id, body_hash, model, images, hold, created_at, status, price, balance,
					settled_at, expires_in, due_at)
				SELECT printf('%026d', i), 'a', 'nano', '[]', 1, i, 'succeeded', 1, 1,
					i, 604800, ${FUTURE} + i
				FROM n`);
		});
		// A write sets the alarm for what the rows say is due.
		unwrap(await account.stub.credit({ id: "more", amount: 1 }));
		const left = async () => (await dump(account.stub)).job?.length;
		const counts: (number | undefined)[] = [];
		for (let rings = 0; rings < 4; rings++) {
			await ringAfter(account, FUTURE);
			counts.push(await left());
		}
		// One of the first batch is the audit of the ledger.
		expect(counts).toEqual([69, 37, 5, 0]);
		expect(await listed(account)).toEqual([]);
	});
});

describe("an upload of the caller's own", () => {
	it("is kept for thirty days", async () => {
		const account = await newAccount(CREDIT);
		const upload = await uploaded(account);
		const found = async () =>
			(await account.stub.upload(account.credential, upload)).ok;
		await ringAfter(account, UPLOAD_KEPT_MS - 60_000);
		expect(await found()).toBe(true);
		await ringAfter(account, UPLOAD_KEPT_MS + 60_000);
		await ringAfter(account, UPLOAD_KEPT_MS + 61_000);
		expect(await found()).toBe(false);
		expect(objectsOf(account)).toEqual([]);
		expect((await dump(account.stub)).due).toEqual([]);
	});

	it("and until the job that holds it ends", async () => {
		const hold = gate();
		fakeWorker({ tokens: words(3), gate: () => hold.opened });
		const account = await newAccount(CREDIT);
		const upload = await uploaded(account);
		const id = await idOf(create(account, { images: [{ upload }] }));
		await ringAfter(account, UPLOAD_KEPT_MS + 60_000);
		expect(objectsOf(account)).toHaveLength(1);
		expect(
			await refusal(await create(account, { images: [{ upload }] })),
		).toEqual([409, "image_in_use", "images[0].upload"]);
		hold.open();
		await ended(account, id);
		await ringAfter(account, UPLOAD_KEPT_MS + 61_000);
		expect(objectsOf(account)).toEqual([]);
	});
});
