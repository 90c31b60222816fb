import { Webhook } from "standardwebhooks";
import { describe, expect, it, vi } from "vitest";
import { unwrap } from "../../src/errors.ts";
import {
	admissionOf,
	newAccount,
	type TestAccount,
} from "../support/account.ts";
import {
	alarmOf,
	api,
	clock,
	onClock,
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
		...{ jobId, status: "succeeded", outputTokens: 1, maxTokens: 1 },
	});

const feed = async (owner: TestAccount) =>
	(await api(owner, "GET", "/events?limit=1000")).data;

const seqs = (ids: string[]) => ids.map((id) => Number(id.split("_")[2]));

/** Until the endpoint has nothing left that is due within `ms`; lets time pass as its alarm says. */
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
		await vi.waitFor(() => expect(receiver.received).toHaveLength(2));
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

	it("whose receiver is down for three days loses nothing and gets everything, in order per job", async () => {
		const owner = await account();
		let up = false;
		const receiver = new Receiver("down.example.org", () => {
			if (!up) throw new TypeError("connection refused");
			return 204;
		});
		const hook = await api(owner, "POST", "/webhooks", {
			...{ url: receiver.url, events: ALL },
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
			...["job.created", "job.created", "job.succeeded", "job.succeeded"],
			...["job.created", "job.succeeded"],
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
