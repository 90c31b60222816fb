import { evictDurableObject } from "cloudflare:test";
import { Webhook, WebhookVerificationError } from "standardwebhooks";
import { describe, expect, it, vi } from "vitest";
import { unwrap } from "../../src/errors.ts";
import {
	admissionOf,
	newAccount,
	type TestAccount,
} from "../support/account.ts";
import { eventually } from "../support/eventually.ts";
import {
	alarmOf,
	api,
	clock,
	endpointStub,
	names,
	onClock,
	outside,
	pass,
	Receiver,
	ring,
} from "../support/receivers.ts";

const HOUR = 60 * 60_000;
const DAY = 24 * HOUR;
const ALL = [
	"job.created",
	"job.succeeded",
	"job.failed",
	"job.canceled",
	"job.expired",
	"job.deleted",
	"webhook.gave_up",
	"webhook.disabled",
];

const account = () => newAccount(1_000_000);

async function admitted(owner: TestAccount): Promise<string> {
	const admission = admissionOf(owner);
	unwrap(await owner.stub.admit(admission));
	return admission.jobId;
}

const settled = (owner: TestAccount, jobId: string) =>
	owner.stub.settle({
		jobId,
		status: "succeeded",
		price: 1_000,
		parts: [],
	});

const feed = async (owner: TestAccount) =>
	(await api(owner, "GET", "/events?limit=1000")).data;

const seqs = (ids: string[]) => ids.map((id) => Number(id.split("_")[2]));

/** Until the endpoint has nothing left that is due within `ms`; time passes as its alarm says. */
async function live(owner: TestAccount, id: string, ms: number): Promise<void> {
	const until = clock() + ms;
	await ring(owner, id);
	for (;;) {
		const next = await alarmOf(owner, id);
		if (next === null || next > until) break;
		pass(Math.max(0, next - clock()));
		await ring(owner, id);
	}
	pass(Math.max(0, until - clock()));
	await onClock(owner);
}

describe("a webhook", () => {
	it("gets each event that it wants once, signed with its secret, the id the feed's", async () => {
		const owner = await account();
		const receiver = new Receiver("hooks.example.org");
		const hook = await api(owner, "POST", "/webhooks", { url: receiver.url });
		const jobs = [await admitted(owner), await admitted(owner)];
		for (const job of jobs) await settled(owner, job);
		await eventually(() => expect(receiver.received).toHaveLength(2));
		const events = (await feed(owner)).filter(
			({ type }: { type: string }) => type === "job.succeeded",
		);
		expect(receiver.received.map(({ id }) => id).sort()).toEqual(
			events.map(({ id }: { id: string }) => id).sort(),
		);
		for (const { body, headers, message } of receiver.received) {
			expect(new Webhook(hook.secret).verify(body, headers)).toEqual(message);
			const event = events.find(
				({ id }: { id: string }) => id === headers["webhook-id"],
			);
			expect(message).toEqual({
				type: event.type,
				timestamp: event.created_at,
				data: event.data,
			});
		}
		const { data } = await api(owner, "GET", `/webhooks/${hook.id}/deliveries`);
		expect(data).toMatchObject([
			{ status: "delivered", attempt: 1, http_status: 200 },
			{ status: "delivered", attempt: 1, http_status: 200 },
		]);
	});

	it("whose receiver is down for three days loses nothing, in order per job", async () => {
		const owner = await account();
		let up = false;
		const receiver = new Receiver("down.example.org", () => {
			if (!up) throw new TypeError("connection refused");
			return 204;
		});
		const hook = await api(owner, "POST", "/webhooks", {
			url: receiver.url,
			events: ALL,
		});
		const jobs = [await admitted(owner), await admitted(owner)];
		await live(owner, hook.id, 20_000);
		for (const job of jobs) await settled(owner, job);
		await live(owner, hook.id, DAY);
		jobs.push(await admitted(owner));
		await settled(owner, jobs[2] as string);
		await live(owner, hook.id, 2 * DAY);
		expect(receiver.accepted).toEqual([]);
		expect(receiver.received.length).toBeGreaterThan(jobs.length);
		up = true;
		await live(owner, hook.id, 2 * DAY);
		const events = await feed(owner);
		expect(events.map(({ type }: { type: string }) => type)).toEqual([
			"job.created",
			"job.created",
			"job.succeeded",
			"job.succeeded",
			"job.created",
			"job.succeeded",
		]);
		expect(seqs(receiver.accepted).sort((a, b) => a - b)).toEqual(
			events.map(({ seq }: { seq: number }) => seq),
		);
		for (const job of jobs) {
			const of = events.filter(
				({ data }: { data: { id: string } }) => data.id === job,
			);
			expect(
				receiver.accepted.filter((id) =>
					of.some((event: { id: string }) => event.id === id),
				),
			).toEqual(of.map(({ id }: { id: string }) => id));
		}
		for (const tried of receiver.received) {
			const first = receiver.received.find(({ id }) => id === tried.id);
			expect(tried.body).toBe(first?.body);
		}
	}, 60_000);
});

const hooked = (owner: TestAccount, { url }: Receiver, more: object = {}) =>
	api(owner, "POST", "/webhooks", { url, ...more });

const deliveries = async (owner: TestAccount, id: string) =>
	(await api(owner, "GET", `/webhooks/${id}/deliveries?limit=100`)).data;

/** A job from its admission to its end, and the id of the event that tells of it. */
async function job(owner: TestAccount): Promise<{ id: string; event: string }> {
	const id = await admitted(owner);
	await settled(owner, id);
	return { id, event: (await feed(owner)).at(-1).id };
}

const types = async (owner: TestAccount): Promise<string[]> =>
	(await feed(owner)).map(({ type }: { type: string }) => type);

describe("a crash", () => {
	it("between the settlement and telling the endpoint loses nothing", async () => {
		const owner = await account();
		const receiver = new Receiver("crash.example.org");
		const hook = await hooked(owner, receiver);
		const id = await admitted(owner);
		await Promise.all([
			settled(owner, id),
			evictDurableObject(owner.stub).catch(() => {}),
		]);
		await settled(owner, id);
		await evictDurableObject(owner.stub);
		await evictDurableObject(endpointStub(owner, hook.id)).catch(() => {});
		await ring(owner, hook.id);
		await eventually(() => expect(receiver.accepted).toHaveLength(1));
	});

	it("of the endpoint between two tries goes on where it was, with the same bytes", async () => {
		const owner = await account();
		let up = false;
		const receiver = new Receiver("twice.example.org", () => (up ? 200 : 503));
		const hook = await hooked(owner, receiver);
		const { event } = await job(owner);
		await eventually(async () =>
			expect(await deliveries(owner, hook.id)).toMatchObject([
				{ status: "failed", attempt: 1 },
			]),
		);
		await evictDurableObject(endpointStub(owner, hook.id));
		up = true;
		pass(6_000);
		await ring(owner, hook.id);
		expect(receiver.received.map(({ id }) => id)).toEqual([event, event]);
		expect(receiver.received[1]?.body).toBe(receiver.received[0]?.body);
		expect(await deliveries(owner, hook.id)).toMatchObject([
			{ event, attempt: 2, status: "delivered" },
		]);
	});
});

describe("what fails", () => {
	it("holds back neither another job's events nor another webhook's", async () => {
		const owner = await account();
		const other = new Receiver("fine.example.org");
		let bad = "";
		const receiver = new Receiver("picky.example.org", ({ message }) =>
			message.data.id === bad ? 500 : 200,
		);
		const hook = await hooked(owner, receiver, { events: ALL });
		await hooked(owner, other, { events: ALL });
		bad = await admitted(owner);
		await eventually(() => expect(receiver.received).toHaveLength(1));
		await settled(owner, bad);
		const good = await job(owner);
		await eventually(() => expect(other.accepted).toHaveLength(4));
		await eventually(() => expect(receiver.accepted).toHaveLength(2));
		const told = receiver.received.map(({ message }) => [
			message.data.id,
			message.type,
		]);
		expect(told).toContainEqual([good.id, "job.succeeded"]);
		expect(told).not.toContainEqual([bad, "job.succeeded"]);
		expect(await deliveries(owner, hook.id)).toContainEqual(
			expect.objectContaining({
				type: "job.succeeded",
				status: "pending",
				attempt: 0,
				next_attempt_at: null,
			}),
		);
	});

	it("ten times is given up: the feed and other webhooks tell; the next event goes", async () => {
		const owner = await account();
		const seen = new Receiver("watch.example.org");
		const watching = await hooked(owner, seen, { events: ["webhook.gave_up"] });
		const receiver = new Receiver("never.example.org", ({ message }) =>
			message.type === "job.succeeded" ? 500 : 200,
		);
		const hook = await hooked(owner, receiver, { events: ALL });
		const done = await job(owner);
		const tries = () =>
			receiver.received.filter(({ id }) => id === done.event).length;
		await live(owner, hook.id, HOUR);
		await owner.stub.eraseJob(owner.credential, done.id);
		await live(owner, hook.id, 4 * DAY);
		expect(tries()).toBe(10);
		expect(receiver.accepted.map((id) => seqs([id])[0])).toEqual([1, 3]);
		expect((await feed(owner)).slice(2)).toMatchObject([
			{ seq: 3, type: "job.deleted" },
			{
				seq: 4,
				type: "webhook.gave_up",
				data: {
					webhook: hook.id,
					event: done.event,
					attempts: 10,
					reason: expect.stringContaining("500"),
				},
			},
		]);
		await ring(owner, watching.id);
		expect(seen.received.map(({ message }) => message.data.event)).toEqual([
			done.event,
		]);
		// Nothing more comes of it: the failing webhook is not told of itself.
		await live(owner, hook.id, 10 * DAY);
		expect(await types(owner)).toHaveLength(4);
	}, 60_000);

	it("is given up silently where it told of a webhook: two that fail stay quiet", async () => {
		const owner = await account();
		const all = ["one", "two"].map(
			(name) => new Receiver(`${name}.example.org`, () => 500),
		);
		const hooks = [];
		for (const each of all)
			hooks.push(
				await hooked(owner, each, {
					events: ["job.succeeded", "webhook.gave_up"],
				}),
			);
		await job(owner);
		for (let day = 0; day < 10; day++)
			for (const { id } of hooks) await live(owner, id, DAY / 2);
		const told = await types(owner);
		expect(told.filter((type) => type.startsWith("webhook."))).toEqual([
			"webhook.gave_up",
			"webhook.gave_up",
			"webhook.disabled",
			"webhook.disabled",
		]);
	}, 60_000);

	it("with 410 disables the webhook at once; enabled again it sends what it owed", async () => {
		const owner = await account();
		let gone = true;
		const receiver = new Receiver("gone.example.org", () => (gone ? 410 : 200));
		const hook = await hooked(owner, receiver);
		const first = await job(owner);
		await live(owner, hook.id, HOUR);
		expect(await api(owner, "GET", `/webhooks/${hook.id}`)).toMatchObject({
			status: "disabled",
			disabled_reason: "gone",
		});
		expect((await feed(owner)).at(-1)).toMatchObject({
			type: "webhook.disabled",
			data: { webhook: hook.id, reason: "gone" },
		});
		const second = await job(owner);
		await live(owner, hook.id, 3 * DAY);
		expect(receiver.received).toHaveLength(1);
		expect(
			await api(owner, "POST", `/webhooks/${hook.id}/redeliver`, { after: 0 }),
		).toMatchObject({ status: 409, code: "webhook_disabled" });
		gone = false;
		const enabled = await api(owner, "PATCH", `/webhooks/${hook.id}`, {
			status: "enabled",
		});
		expect(enabled).toMatchObject({ status: "enabled", disabled_reason: null });
		await ring(owner, hook.id);
		expect(receiver.accepted).toEqual([first.event, second.event]);
	});

	it("for five days without one success disables the webhook, once", async () => {
		const owner = await account();
		const receiver = new Receiver("dead.example.org", () => {
			throw new TypeError("connection refused");
		});
		const hook = await hooked(owner, receiver);
		await job(owner);
		await live(owner, hook.id, 2 * DAY);
		await job(owner);
		await live(owner, hook.id, 2.9 * DAY);
		expect((await api(owner, "GET", `/webhooks/${hook.id}`)).status).toBe(
			"enabled",
		);
		await live(owner, hook.id, 2 * DAY);
		expect(await api(owner, "GET", `/webhooks/${hook.id}`)).toMatchObject({
			status: "disabled",
			disabled_reason: "no_success",
		});
		const tried = receiver.received.length;
		await job(owner);
		await live(owner, hook.id, 5 * DAY);
		expect(receiver.received).toHaveLength(tried);
		const told = await types(owner);
		expect(told.filter((type) => type === "webhook.disabled")).toHaveLength(1);
	}, 60_000);
});

describe("redelivery", () => {
	it("of one event sends it again now, and it is the same event", async () => {
		const owner = await account();
		const receiver = new Receiver("again.example.org");
		const hook = await hooked(owner, receiver);
		const { event } = await job(owner);
		await eventually(() => expect(receiver.accepted).toHaveLength(1));
		const answer = await api(owner, "POST", `/webhooks/${hook.id}/redeliver`, {
			event,
		});
		expect(answer).toMatchObject({ delivery: { event }, after: null });
		await eventually(() => expect(receiver.accepted).toEqual([event, event]));
		expect(receiver.received[1]?.body).toBe(receiver.received[0]?.body);
		expect(await deliveries(owner, hook.id)).toHaveLength(2);
	});

	it("after a point moves the cursor there: everything since comes again, in order", async () => {
		const owner = await account();
		const receiver = new Receiver("rewind.example.org");
		const hook = await hooked(owner, receiver, { events: ALL });
		const jobs = [await job(owner), await job(owner), await job(owner)];
		await eventually(() => expect(receiver.accepted).toHaveLength(6));
		await api(owner, "POST", `/webhooks/${hook.id}/redeliver`, { after: 2 });
		await eventually(() => expect(receiver.accepted).toHaveLength(10));
		const again = receiver.accepted.slice(6);
		expect(seqs(again).sort()).toEqual([3, 4, 5, 6]);
		for (const { event } of jobs.slice(1))
			expect(seqs(again).indexOf(seqs([event])[0] as number)).toBeGreaterThan(
				seqs(again).indexOf((seqs([event])[0] as number) - 1),
			);
	});

	it("of what is not there, or not kept, says so", async () => {
		const owner = await account();
		const hook = await hooked(owner, new Receiver("none.example.org"));
		const redeliver = (body: object) =>
			api(owner, "POST", `/webhooks/${hook.id}/redeliver`, body);
		for (const event of [
			`evt_${owner.id}_9`,
			`evt_${(await account()).id}_1`,
			"x",
		])
			expect(await redeliver({ event })).toMatchObject({
				status: 404,
				code: "event_not_found",
				field: "event",
			});
		expect(await redeliver({ after: 9 })).toMatchObject({
			status: 400,
			field: "after",
		});
	});
});

describe("secrets", () => {
	it("two sign for a day after a rotation, then the new one alone", async () => {
		const owner = await account();
		const receiver = new Receiver("keys.example.org");
		const hook = await hooked(owner, receiver);
		await live(owner, hook.id, HOUR);
		const rotated = await api(owner, "POST", `/webhooks/${hook.id}/rotate`);
		expect(rotated.secret).not.toBe(hook.secret);
		const verifies = (secret: string, n: number) => {
			const { body, headers } = receiver.received[
				n
			] as (typeof receiver.received)[0];
			// The package has the real clock; the message was signed on the test's.
			vi.useFakeTimers({
				now: receiver.received[n]?.at as number,
				toFake: ["Date"],
			});
			try {
				new Webhook(secret).verify(body, headers);
				return true;
			} catch (error) {
				if (error instanceof WebhookVerificationError) return false;
				throw error;
			} finally {
				vi.useRealTimers();
			}
		};
		await job(owner);
		await ring(owner, hook.id);
		expect([hook, rotated].map(({ secret }) => verifies(secret, 0))).toEqual([
			true,
			true,
		]);
		await live(owner, hook.id, DAY + HOUR);
		await job(owner);
		await ring(owner, hook.id);
		expect([hook, rotated].map(({ secret }) => verifies(secret, 1))).toEqual([
			false,
			true,
		]);
	});

	it("a message that was tampered with, replayed or signed by another is refused", async () => {
		const owner = await account();
		const receiver = new Receiver("tamper.example.org");
		const hook = await hooked(owner, receiver);
		await job(owner);
		await eventually(() => expect(receiver.received).toHaveLength(1));
		const { body, headers } = receiver
			.received[0] as (typeof receiver.received)[0];
		const verify = (secret: string, text: string, more: object = {}) =>
			new Webhook(secret).verify(text, { ...headers, ...more });
		expect(verify(hook.secret, body)).toMatchObject({ type: "job.succeeded" });
		const { secret: other } = await api(owner, "GET", "/webhooks/secret");
		expect(() => verify(other, body)).toThrow("No matching");
		expect(() =>
			verify(hook.secret, body.replace("succeeded", "failed")),
		).toThrow();
		expect(() =>
			verify(hook.secret, body, { "webhook-id": "evt_x_1" }),
		).toThrow();
		vi.useFakeTimers({ now: Date.now() + 301_000, toFake: ["Date"] });
		try {
			expect(() => verify(hook.secret, body)).toThrow("too old");
		} finally {
			vi.useRealTimers();
		}
	});
});

describe("where a webhook leads", () => {
	it("is nothing private, also where a public name says so only later", async () => {
		const owner = await account();
		const receiver = new Receiver("rebound.example.org");
		const hook = await hooked(owner, receiver);
		for (const address of [
			"10.0.0.7",
			"169.254.169.254",
			"127.0.0.1",
			"::1",
			"fd00::1",
		]) {
			names.set("rebound.example.org", ["93.184.216.34", address]);
			const tested = await api(owner, "POST", `/webhooks/${hook.id}/test`);
			expect(tested).toMatchObject({
				status: "failed",
				http_status: null,
				error: expect.stringContaining("not public"),
			});
		}
		expect(outside).toEqual([]);
		names.delete("rebound.example.org");
		expect(await api(owner, "POST", `/webhooks/${hook.id}/test`)).toMatchObject(
			{
				status: "delivered",
				type: "webhook.test",
				seq: null,
				attempt: 1,
			},
		);
	});

	it("is not where it redirects to", async () => {
		const owner = await account();
		const inside = new Receiver("inside.example.org");
		const receiver = new Receiver(
			"redirect.example.org",
			() =>
				new Response(null, { status: 307, headers: { Location: inside.url } }),
		);
		const hook = await hooked(owner, receiver);
		expect(await api(owner, "POST", `/webhooks/${hook.id}/test`)).toMatchObject(
			{
				status: "failed",
				http_status: 307,
				error: expect.stringContaining("redirects are not followed"),
			},
		);
		expect(inside.received).toEqual([]);
	});

	it.each([
		["http://hooks.example.org/", "https"],
		["https://user:secret@hooks.example.org/", "credentials"],
		["https://hooks.example.org:8443/", "443"],
		["https://127.0.0.1/", "not public"],
		["https://2130706433/", "not public"],
		["https://[::1]/", "not public"],
		["https://[::ffff:10.0.0.1]/", "not public"],
		["https://localhost/", "not public"],
		["https://metadata.internal/", "not public"],
		["ftp://hooks.example.org/", "https"],
		["hooks.example.org", "URL"],
	])("%s is refused before anything is made", async (url, words) => {
		const owner = await account();
		expect(await api(owner, "POST", "/webhooks", { url })).toMatchObject({
			status: 422,
			code: "url_refused",
			field: "url",
			detail: expect.stringContaining(words),
		});
		expect((await api(owner, "GET", "/webhooks")).data).toEqual([]);
	});
});

it("a receiver whose answer is endless or too long has accepted by its status", async () => {
	const owner = await account();
	let pulled = 0;
	const receiver = new Receiver(
		"chatty.example.org",
		() =>
			new Response(
				new ReadableStream({
					pull(controller) {
						pulled++;
						controller.enqueue(new Uint8Array(1024));
					},
				}),
			),
	);
	const hook = await hooked(owner, receiver);
	expect(await api(owner, "POST", `/webhooks/${hook.id}/test`)).toMatchObject({
		status: "delivered",
	});
	expect(pulled).toBeLessThan(20);
});

it("a webhook that is deleted is called no more, and its endpoint keeps nothing", async () => {
	const owner = await account();
	const receiver = new Receiver("deleted.example.org", () => 500);
	const hook = await hooked(owner, receiver);
	await job(owner);
	await eventually(() => expect(receiver.received).toHaveLength(1));
	await api(owner, "DELETE", `/webhooks/${hook.id}`);
	await ring(owner, hook.id);
	await job(owner);
	await eventually(async () =>
		expect(await alarmOf(owner, hook.id)).toBe(null),
	);
	expect(receiver.received).toHaveLength(1);
	expect(await api(owner, "GET", `/webhooks/${hook.id}`)).toMatchObject({
		code: "webhook_not_found",
	});
});
