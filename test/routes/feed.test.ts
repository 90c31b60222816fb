import { evictDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { unwrap } from "../../src/errors.ts";
import { Event, EventList } from "../../src/schema/feed.ts";
import {
	admissionOf,
	newAccount,
	type TestAccount,
} from "../support/account.ts";
import { refusal } from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { eventually } from "../support/eventually.ts";
import { type Read, read } from "../support/jobs.ts";

const get = (account: TestAccount, query = "", headers: HeadersInit = {}) =>
	edge.fetch(`http://edge.test/v1/events${query}`, {
		headers: { ...headers, Authorization: `Bearer ${account.key}` },
	});

const stream = async (
	account: TestAccount,
	until: (event: Read) => boolean,
	query = "",
	headers: HeadersInit = {},
): Promise<Read[]> => {
	const answer = await get(account, query, {
		Accept: "text/event-stream",
		...headers,
	});
	expect(answer.headers.get("Content-Type")).toContain("text/event-stream");
	return read(answer.body as ReadableStream<Uint8Array>, until);
};

async function job(account: TestAccount): Promise<string> {
	const admission = admissionOf(account);
	unwrap(await account.stub.admit(admission));
	const { jobId } = admission;
	await account.stub.settle({
		jobId,
		status: "succeeded",
		price: 1_000,
		parts: [],
	});
	return jobId;
}

const upTo =
	(seq: number) =>
	(event: Read): boolean =>
		event.seq === seq;

describe("GET /v1/events", () => {
	it("answers pages, oldest first, in the documented shape", async () => {
		const account = await newAccount(100_000);
		const jobs = [await job(account), await job(account)];
		const first = EventList.parse(
			await (await get(account, "?limit=3")).json(),
		);
		expect(first).toMatchObject({ next_cursor: "3", last_seq: 4 });
		expect(first.data.map(({ id }) => id)).toEqual(
			[1, 2, 3].map((seq) => `evt_${account.id}_${seq}`),
		);
		expect(first.data[1]).toMatchObject({
			object: "event",
			seq: 2,
			type: "job.succeeded",
			data: {
				id: jobs[0],
				object: "job",
				status: "succeeded",
				price: 1000,
				finished_at: expect.any(String),
				urls: { self: `http://edge.test/v1/jobs/${jobs[0]}` },
			},
		});
		const rest = EventList.parse(await (await get(account, "?after=3")).json());
		expect(rest).toMatchObject({ data: [{ seq: 4 }], next_cursor: null });
		const ends = await (await get(account, "?types=job.succeeded")).json();
		expect(EventList.parse(ends).data.map(({ seq }) => seq)).toEqual([2, 4]);
	});

	it("is empty, not missing, for an account in which nothing happened", async () => {
		const answer = await (await get(await newAccount())).json();
		expect(answer).toEqual({ data: [], next_cursor: null, last_seq: 0 });
	});

	it.each([
		["?after=-1", "after"],
		["?after=x", "after"],
		["?after=5", "after"],
		["?limit=0", "limit"],
		["?types=job.finished", "types[0]"],
		["?since=1", "since"],
	])("%s is refused, naming the field", async (query, field) => {
		const account = await newAccount();
		expect(await refusal(await get(account, query))).toEqual([
			400,
			"invalid_request",
			field,
		]);
	});

	it("needs a key", async () => {
		const answer = await edge.fetch("http://edge.test/v1/events");
		expect(await refusal(answer)).toEqual([401, "missing_key"]);
	});
});

describe("GET /v1/events as a stream", () => {
	it("replays, then goes on live, each event once", async () => {
		const account = await newAccount(100_000);
		await job(account);
		const reading = stream(account, upTo(6));
		for (let n = 0; n < 2; n++) await job(account);
		const events = await reading;
		expect(events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6]);
		const { data } = await (await get(account)).json<{
			data: (typeof Event)["_output"][];
		}>();
		expect(events.map(({ data }) => data)).toEqual(data);
		for (const { type, data } of events)
			expect(Event.parse(data).type).toBe(type);
	});

	it("writes an event once for all readers who call by one origin", async () => {
		const account = await newAccount(100_000);
		using stringify = vi.spyOn(JSON, "stringify");
		const readers = [1, 2, 3].map(() => stream(account, upTo(1)));
		unwrap(await account.stub.admit(admissionOf(account)));
		const events = await Promise.all(readers);
		expect(events.map((each) => each.length)).toEqual([1, 1, 1]);
		const written = stringify.mock.calls.filter(
			([value]) => value?.object === "event",
		);
		expect(written).toHaveLength(1);
	});

	it("goes on from Last-Event-ID; the query wins", async () => {
		const account = await newAccount(100_000);
		for (let n = 0; n < 3; n++) await job(account);
		const from = (query: string) =>
			stream(account, upTo(6), query, { "Last-Event-ID": "3" });
		expect((await from("")).map(({ seq }) => seq)).toEqual([4, 5, 6]);
		expect((await from("?after=5")).map(({ seq }) => seq)).toEqual([6]);
	});

	it("passes over what was not asked for, and does not stop at it", async () => {
		const account = await newAccount(100_000);
		const reading = stream(account, upTo(6), "?types=job.succeeded");
		for (let n = 0; n < 3; n++) await job(account);
		expect((await reading).map(({ seq }) => seq)).toEqual([2, 4, 6]);
	});

	it("survives the account's eviction without a gap or a repeat", async () => {
		const account = await newAccount(100_000);
		const seen: number[] = [];
		const reading = stream(account, ({ seq }) => {
			seen.push(seq);
			return seq === 8;
		});
		await job(account);
		await eventually(() => expect(seen).toEqual([1, 2]));
		for (let n = 0; n < 3; n++) {
			await evictDurableObject(account.stub);
			await job(account);
		}
		expect((await reading).map(({ seq }) => seq)).toEqual([
			1, 2, 3, 4, 5, 6, 7, 8,
		]);
	});

	it("refuses a place that the feed does not have", async () => {
		const account = await newAccount();
		const answer = await get(account, "", {
			Accept: "text/event-stream",
			"Last-Event-ID": "7",
		});
		expect(await refusal(answer)).toEqual([
			400,
			"invalid_request",
			"Last-Event-ID",
		]);
	});
});
