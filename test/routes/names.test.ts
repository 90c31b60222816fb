import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { Account } from "../../src/account/account.ts";
import { KEY_KEPT_MS } from "../../src/account/idempotency.ts";
import { LATE_WRITE_MS } from "../../src/account/uploads.ts";
import type { Admission } from "../../src/contract/account.ts";
import { unwrap } from "../../src/errors.ts";
import { newJobId } from "../../src/ids.ts";
import { Job } from "../../src/job/job.ts";
import {
	dump,
	moveClock,
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
const CREDIT = 20_000;

const put = (
	account: TestAccount,
	id: string,
	more: object = {},
	headers: Record<string, string> = {},
) =>
	call(account, `/${id}`, {
		method: "PUT",
		body: { ...JOB_REQUEST, ...more },
		headers,
	});

/** Both ways to name a job, so that each promise is kept for both. */
const ways = [
	{
		way: "PUT with an id",
		conflict: "id_conflict",
		name: () => newJobId(Date.now()),
		send: put,
	},
	{
		way: "POST with an Idempotency-Key",
		conflict: "idempotency_conflict",
		name: () => crypto.randomUUID() as string,
		send: (
			account: TestAccount,
			name: string,
			more: object = {},
			headers = {},
		) => create(account, more, { "Idempotency-Key": name, ...headers }),
	},
];
const replayed = (response: Response) =>
	response.headers.get("Idempotent-Replayed");
const jobsOf = async (account: TestAccount): Promise<string[]> =>
	(await (await call(account, "")).json<Wire>()).data.map(
		({ id }: { id: string }) => id,
	);
/** Paths of the account's objects in the bucket. */
const objectsOf = ({ id }: TestAccount) =>
	[...bucket.keys()].filter((path) => path.includes(id));

describe.each(ways)("$way", ({ conflict, name: newName, send }) => {
	it("creates once; the same again answers what the job is now, and costs nothing", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const [account, name] = [await newAccount(CREDIT), newName()];
		const first = await send(account, name);
		expect([first.status, replayed(first)]).toEqual([202, null]);
		const { id } = await first.json<Wire>();
		const done = await ended(account, id);
		const before = await dump(account.stub);
		for (let times = 0; times < 3; times++) {
			const again = await send(account, name);
			expect([again.status, replayed(again)]).toEqual([200, "true"]);
			expect(again.headers.get("Location")).toBe(first.headers.get("Location"));
			expect(await again.json()).toEqual(done);
		}
		expect(await dump(account.stub)).toEqual(before);
		expect(worker.requests).toHaveLength(1);
		expect(await money(account)).toEqual({
			available: CREDIT - PRICE,
			held: 0,
		});
		expect(objectsOf(account)).toHaveLength(1);
	});

	it("twenty times at once runs one job and stores its image once", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const [account, name] = [await newAccount(CREDIT), newName()];
		const answers = await Promise.all(
			Array.from({ length: 20 }, () => send(account, name)),
		);
		const jobs = await Promise.all(answers.map((each) => each.json<Wire>()));
		expect(new Set(jobs.map(({ id }) => id)).size).toBe(1);
		expect(answers.map(({ status }) => status).sort()).toEqual([
			...Array(19).fill(200),
			202,
		]);
		expect(answers.filter((each) => replayed(each) === null)).toHaveLength(1);
		await ended(account, jobs[0].id);
		expect(await jobsOf(account)).toEqual([jobs[0].id]);
		expect(worker.requests).toHaveLength(1);
		expect(await money(account)).toEqual({
			available: CREDIT - PRICE,
			held: 0,
		});
		// What the others had stored by then is gone again.
		await ringAfter(account, 1_000);
		expect(objectsOf(account)).toHaveLength(1);
		expect((await dump(account.stub)).upload).toHaveLength(1);
	});

	it("with another body is refused, running or done, and leaves nothing", async () => {
		const hold = gate();
		fakeWorker({ tokens: words(3), gate: () => hold.opened });
		const [account, name] = [await newAccount(CREDIT), newName()];
		const { id } = await (await send(account, name)).json<Wire>();
		const others = [
			{ prompt: "What is that?" },
			{ max_tokens: 299 },
			{ max_tokens: 300 },
			{ images: [...JOB_REQUEST.images, ...JOB_REQUEST.images] },
			{ expires_in: 3600 },
		];
		const before = await dump(account.stub);
		for (const other of others)
			expect(await refusal(await send(account, name, other))).toEqual([
				409,
				conflict,
			]);
		expect(await dump(account.stub)).toEqual(before);
		hold.open();
		await ended(account, id);
		for (const other of others)
			expect(await refusal(await send(account, name, other))).toEqual([
				409,
				conflict,
			]);
		expect(objectsOf(account)).toHaveLength(1);
	});

	it("streams a repeat from the first event, and waits for it, as asked", async () => {
		const hold = gate();
		fakeWorker({ tokens: words(5), gate: () => hold.opened });
		const [account, name] = [await newAccount(CREDIT), newName()];
		const accept = { Accept: "text/event-stream" };
		const first = await send(account, name, {}, accept);
		const second = await send(account, name, {}, accept);
		expect([replayed(first), replayed(second)]).toEqual([null, "true"]);
		const waited = await send(account, name, {}, { Prefer: "wait=1" });
		expect([waited.status, replayed(waited)]).toEqual([202, "true"]);
		hold.open();
		const [one, two] = await Promise.all(
			[first, second].map((each) =>
				read(each.body as ReadableStream<Uint8Array>),
			),
		);
		expect(textOf(two ?? [])).toBe(words(5).join(""));
		expect(two).toEqual(one);
		const late = await send(account, name, {}, accept);
		expect(await read(late.body as ReadableStream<Uint8Array>)).toEqual(one);
		const ready = await send(account, name, {}, { Prefer: "wait=10" });
		expect(ready.status).toBe(200);
		expect(await ready.json()).toMatchObject({ status: "succeeded" });
	});

	it("whose first try died between admission and start starts the job now", async () => {
		const worker = fakeWorker({ tokens: words(3) });
		const [account, name] = [await newAccount(CREDIT), newName()];
		vi.spyOn(Job.prototype, "start").mockImplementationOnce(() => {
			throw new Error("the edge died here");
		});
		expect((await send(account, name)).status).toBe(500);
		expect((await money(account)).held).toBe(HOLD);
		const again = await send(account, name, {}, { Prefer: "wait=10" });
		expect([again.status, replayed(again)]).toEqual([200, "true"]);
		expect(await again.json()).toMatchObject({
			status: "succeeded",
			images: [expect.anything()],
			price: PRICE,
		});
		expect(worker.requests).toHaveLength(1);
		expect(await money(account)).toEqual({
			available: CREDIT - PRICE,
			held: 0,
		});
		expect(objectsOf(account)).toHaveLength(1);
	});

	it("whose first try died before admission leaves no image, and may be sent again", async () => {
		fakeWorker({ tokens: words(3) });
		const [account, name] = [await newAccount(CREDIT), newName()];
		vi.spyOn(Account.prototype, "admit").mockImplementationOnce(() => {
			throw new Error("the edge died here");
		});
		// It died: nobody took anything back either.
		vi.spyOn(Account.prototype, "discardUploads").mockImplementationOnce(() => {
			throw new Error("the edge is dead");
		});
		expect((await send(account, name)).status).toBe(500);
		expect(objectsOf(account)).toHaveLength(1);
		await ringAfter(account, LATE_WRITE_MS - 1_000);
		expect(objectsOf(account)).toHaveLength(1);
		await ringAfter(account, LATE_WRITE_MS + 1_000);
		await ringAfter(account, LATE_WRITE_MS + 2_000);
		expect(objectsOf(account)).toEqual([]);
		await ringAfter(account, 3 * LATE_WRITE_MS);
		const { upload, due } = await dump(account.stub);
		expect({ upload, due }).toEqual({ upload: [], due: [] });
		expect((await send(account, name)).status).toBe(202);
	});

	it("that an admission refuses after all takes its image back at once", async () => {
		fakeWorker({ tokens: words(3) });
		const [account, name] = [await newAccount(HOLD), newName()];
		const admit = Account.prototype.admit;
		// Between its question and its admission another job takes the money.
		vi.spyOn(Account.prototype, "admit").mockImplementationOnce(async function (
			this: Account,
			admission: Admission,
		) {
			await admit.call(this, {
				...admission,
				jobId: newJobId(Date.now()),
				idempotencyKey: null,
				images: [],
				fields: [],
				inline: [],
			});
			return admit.call(this, admission);
		});
		expect(await refusal(await send(account, name))).toEqual([
			402,
			"insufficient_credit",
		]);
		expect((await dump(account.stub)).upload).toEqual([]);
		await ringAfter(account, 1_000);
		expect(objectsOf(account)).toEqual([]);
	});

	it("says nothing of other accounts: a name that one uses is new to another", async () => {
		fakeWorker({ tokens: words(3) });
		const [one, other] = [await newAccount(CREDIT), await newAccount(CREDIT)];
		const name = newName();
		const first = await send(one, name);
		const second = await send(other, name, { prompt: "Something else" });
		expect([first.status, second.status]).toEqual([202, 202]);
		expect([replayed(first), replayed(second)]).toEqual([null, null]);
		for (const [account, response] of [
			[one, first],
			[other, second],
		] as const) {
			const { id } = await response.json<Wire>();
			const { status, price } = await ended(account, id);
			expect(status).toBe("succeeded");
			expect(await jobsOf(account)).toEqual([id]);
			expect((await money(account)).available).toBe(CREDIT - price);
		}
	});

	it("knows its name after the account slept", async () => {
		fakeWorker({ tokens: words(3) });
		const [account, name] = [await newAccount(CREDIT), newName()];
		const { id } = await (await send(account, name)).json<Wire>();
		await ended(account, id);
		await evictDurableObject(account.stub);
		const again = await send(account, name);
		expect([again.status, replayed(again)]).toEqual([200, "true"]);
		expect(await again.json()).toMatchObject({ id });
	});
});

describe("the same request", () => {
	it("is the same by whatever way its image came, also after that upload is gone", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const upload = await uploaded(account);
		const id = newJobId(Date.now());
		const images = [{ upload }];
		expect((await put(account, id, { images })).status).toBe(202);
		await ended(account, id);
		expect((await put(account, id)).status).toBe(200);
		unwrap(await account.stub.deleteUpload(account.credential, upload));
		for (const body of [{ images }, {}]) {
			const again = await put(account, id, body);
			expect([again.status, replayed(again)]).toEqual([200, "true"]);
		}
		expect(
			await refusal(await put(account, newJobId(Date.now()), { images })),
		).toEqual([404, "upload_not_found", "images[0].upload"]);
	});

	it("in another order of members is the same, and headers are no part of it", async () => {
		fakeWorker({ tokens: words(3) });
		const [account, id] = [await newAccount(CREDIT), newJobId(Date.now())];
		expect((await put(account, id, {}, { "Cancel-After": "2h" })).status).toBe(
			202,
		);
		await ended(account, id);
		const { images, prompt, temperature } = JOB_REQUEST;
		const again = await call(account, `/${id}`, {
			method: "PUT",
			body: { temperature, prompt, images },
			headers: { "Start-Within": "90s" },
		});
		expect([again.status, replayed(again)]).toEqual([200, "true"]);
	});
});

describe("a name", () => {
	it("that is no ULID, or no key, is refused before anything else happens", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const before = await dump(account.stub);
		for (const id of [
			"x",
			newJobId(1).toLowerCase(),
			crypto.randomUUID(),
			`${newJobId(1)}0`,
		])
			expect(
				await refusal(
					await call(account, `/${id}`, { method: "PUT", body: {} }),
				),
			).toEqual([400, "invalid_request", "id"]);
		for (const key of ["two words", "x".repeat(256)])
			expect(
				await refusal(
					await call(account, "", {
						method: "POST",
						body: {},
						headers: { "Idempotency-Key": key },
					}),
				),
			).toEqual([400, "invalid_request", "Idempotency-Key"]);
		for (const header of ["Start-Within", "Cancel-After"])
			expect(
				await refusal(await create(account, {}, { [header]: "1s" })),
			).toEqual([400, "invalid_request", header]);
		expect(await dump(account.stub)).toEqual(before);
	});

	it("is kept as a hash; a key is free again after thirty days, its job there by id", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const key = "a-key-that-is-nobodys-business";
		const send = () => create(account, {}, { "Idempotency-Key": key });
		const { id } = await (await send()).json<Wire>();
		await ended(account, id);
		expect(JSON.stringify(await dump(account.stub))).not.toContain(key);
		await moveClock(account.stub, KEY_KEPT_MS - 60_000);
		expect((await send()).status).toBe(200);
		await moveClock(account.stub, KEY_KEPT_MS + 60_000);
		const next = await send();
		expect(next.status).toBe(202);
		expect((await next.json<Wire>()).id).not.toBe(id);
		const keys = () =>
			runInDurableObject(account.stub, (_, { storage }) =>
				storage.sql.exec("SELECT job FROM idempotency_key").toArray(),
			);
		expect(await keys()).toHaveLength(1);
		await ringAfter(account, 3 * KEY_KEPT_MS);
		expect(await keys()).toEqual([]);
	});
});
