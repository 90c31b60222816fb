import { runInDurableObject } from "cloudflare:test";
import { Webhook as Verifier } from "standardwebhooks";
import { describe, expect, it, vi } from "vitest";
import { MAX_WEBHOOKS } from "../../src/account/webhooks.ts";
import { Delivery, Webhook } from "../../src/schema/webhook.ts";
import vectors from "../fixtures/webhooks/signatures.json";
import { dump, newAccount, type TestAccount } from "../support/account.ts";
import {
	call,
	create,
	ended,
	JOB_REQUEST,
	type Wire,
} from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { eventually } from "../support/eventually.ts";
import { fakeWorker, words } from "../support/jobs.ts";
import {
	api,
	endpointStub,
	type Received,
	Receiver,
} from "../support/receivers.ts";

const CREDIT = 1_000_000;
const verified = (secret: string, { body, headers }: Received): Wire =>
	new Verifier(secret).verify(body, headers);

describe("/v1/webhooks", () => {
	it("makes, shows, lists, changes and deletes webhooks; the secret is shown once", async () => {
		const account = await newAccount();
		const url = "https://hooks.example.org/a#part";
		const { secret, ...made } = await api(account, "POST", "/webhooks", {
			url,
			description: "mine",
		});
		expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{32}$/);
		expect(Webhook.parse(made)).toMatchObject({
			object: "webhook",
			scope: "account",
			status: "enabled",
			url: "https://hooks.example.org/a",
			events: ["job.succeeded", "job.failed", "job.canceled", "job.expired"],
			description: "mine",
			disabled_reason: null,
			last_success_at: null,
		});
		const path = `/webhooks/${made.id}`;
		expect(await api(account, "GET", path)).toEqual(made);
		expect(await api(account, "GET", "/webhooks")).toEqual({
			data: [made],
			next_cursor: null,
		});
		const changed = await api(account, "PATCH", path, {
			events: ["job.created", "job.created"],
			description: "",
		});
		expect(changed).toEqual({
			...made,
			events: ["job.created"],
			description: "",
		});
		expect(await api(account, "DELETE", path)).toBe(null);
		for (const method of ["GET", "DELETE"])
			expect(await api(account, method, path)).toMatchObject({
				status: 404,
				code: "webhook_not_found",
			});
	});

	it.each<[string, object, string, string]>([
		["no URL", {}, "url", "invalid_request"],
		[
			"no events",
			{ url: "https://a.org", events: [] },
			"events",
			"invalid_request",
		],
		[
			"an event that there is not",
			{ url: "https://a.org", events: ["job.done"] },
			"events[0]",
			"invalid_request",
		],
		[
			"a field that there is not",
			{ url: "https://a.org", secret: "x" },
			"secret",
			"invalid_request",
		],
	])("refuses %s, naming the field", async (_, body, field, code) => {
		const account = await newAccount();
		expect(await api(account, "POST", "/webhooks", body)).toMatchObject({
			status: 400,
			code,
			field,
		});
	});

	it("are the account's own: nobody else sees, tests or deletes them", async () => {
		const [account, other] = [await newAccount(), await newAccount()];
		const receiver = new Receiver("own.example.org");
		const { id } = await api(account, "POST", "/webhooks", {
			url: receiver.url,
		});
		for (const [method, path] of [
			["GET", ""],
			["DELETE", ""],
			["POST", "/test"],
			["POST", "/rotate"],
			["GET", "/deliveries"],
		] as const)
			expect(await api(other, method, `/webhooks/${id}${path}`)).toMatchObject({
				status: 404,
				code: "webhook_not_found",
			});
		expect(receiver.received).toEqual([]);
	});

	it("are not for a key that is out in pages", async () => {
		const account = await newAccount();
		const origin = "https://app.example.com";
		const bound = await api(account, "POST", "/keys", {
			name: "page",
			origins: [origin],
		});
		const page = { ...account, key: bound.key };
		for (const [method, path, body] of [
			["GET", "/webhooks", undefined],
			["GET", "/webhooks/secret", undefined],
			["POST", "/webhooks", { url: "https://hooks.example.org" }],
		] as const)
			expect(await api(page, method, path, body)).toMatchObject({
				status: 403,
				code: "bound_key",
			});
	});

	it("are a hundred at most", async () => {
		const account = await newAccount();
		await runInDurableObject(account.stub, (_, { storage: { sql } }) => {
			for (let n = 1; n < MAX_WEBHOOKS; n++)
				sql.exec(
					"INSERT INTO webhook " +
						"(scope, id, url, events, description, origin, created_at, since) " +
						"VALUES ('account', ?, 'https://a.org', '[]', '', '', 0, 0)",
					`wh_${n}`,
				);
		});
		const url = "https://hooks.example.org";
		expect((await api(account, "POST", "/webhooks", { url })).url).toBeTruthy();
		expect(await api(account, "POST", "/webhooks", { url })).toMatchObject({
			status: 409,
			code: "too_many_webhooks",
			limit: MAX_WEBHOOKS,
		});
	});

	it("a test is sent at once, signed, and is in the log", async () => {
		const account = await newAccount();
		const receiver = new Receiver("test.example.org");
		const { id, secret } = await api(account, "POST", "/webhooks", {
			url: receiver.url,
		});
		const tested = await api(account, "POST", `/webhooks/${id}/test`);
		expect(Delivery.parse(tested)).toMatchObject({
			type: "webhook.test",
			status: "delivered",
			seq: null,
			attempt: 1,
		});
		const [received] = receiver.received;
		expect(verified(secret, received as Received)).toMatchObject({
			type: "webhook.test",
			data: { webhook: id },
		});
		expect(await api(account, "GET", `/webhooks/${id}/deliveries`)).toEqual({
			data: [tested],
			next_cursor: null,
		});
		const { last_success_at } = await api(account, "GET", `/webhooks/${id}`);
		expect(Date.now() - Date.parse(last_success_at)).toBeLessThan(60_000);
	});

	it("pages through deliveries, newest first", async () => {
		const account = await newAccount();
		const receiver = new Receiver("pages.example.org");
		const { id } = await api(account, "POST", "/webhooks", {
			url: receiver.url,
		});
		for (let n = 0; n < 5; n++)
			await api(account, "POST", `/webhooks/${id}/test`);
		const ids: string[] = [];
		for (let cursor = ""; ; ) {
			const page = await api(
				...([account, "GET"] as const),
				`/webhooks/${id}/deliveries?limit=2${cursor && `&cursor=${cursor}`}`,
			);
			ids.push(...page.data.map((delivery: Wire) => delivery.id));
			if (page.next_cursor === null) break;
			cursor = page.next_cursor;
		}
		expect(ids).toEqual(["dlv_5", "dlv_4", "dlv_3", "dlv_2", "dlv_1"]);
	});
});

describe("a job's end", () => {
	it("is told with the whole job, as GET shows it", async () => {
		fakeWorker({ tokens: words(6) });
		const account = await newAccount(CREDIT);
		const receiver = new Receiver("whole.example.org");
		const hook = await api(account, "POST", "/webhooks", { url: receiver.url });
		const { id } = await (await create(account)).json<Wire>();
		const job = await ended(account, id);
		await eventually(() => expect(receiver.accepted).toHaveLength(1), 5_000);
		const message = verified(hook.secret, receiver.received[0] as Received);
		expect(message).toEqual({
			type: "job.succeeded",
			timestamp: expect.any(String),
			data: job,
		});
		expect(message.data.output.text).toBe(words(6).join(""));
	});
});

describe("a job's own webhook", () => {
	const named = (account: TestAccount, webhook: object) =>
		create(account, { webhook });

	it("is told of that job alone, signed with the account's secret; it is in no list", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const receiver = new Receiver("job.example.org");
		const { secret } = await api(account, "GET", "/webhooks/secret");
		await ended(account, (await (await create(account)).json<Wire>()).id);
		const events = ["job.created", "job.succeeded"];
		const { id } = await (
			await named(account, { url: receiver.url, events })
		).json<Wire>();
		await ended(account, id);
		await eventually(() => expect(receiver.accepted).toHaveLength(2), 5_000);
		const told = receiver.received.map((each) => verified(secret, each));
		expect(told.map(({ type, data }) => [type, data.id])).toEqual([
			...events.map((type) => [type, id]),
		]);
		expect((await api(account, "GET", "/webhooks")).data).toEqual([]);
		const { webhook } = (await dump(account.stub)) as { webhook: Wire[] };
		expect(
			await api(account, "GET", `/webhooks/${webhook[0].id}`),
		).toMatchObject({
			scope: "job",
			url: receiver.url,
			status: "enabled",
		});
	});

	it("is one for all jobs that name the address, and each says what it wants to tell", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const receiver = new Receiver("shared.example.org");
		const { url } = receiver;
		const jobs = [];
		for (const events of [["job.succeeded"], ["job.failed"], ["job.succeeded"]])
			jobs.push(
				(await (await named(account, { url, events })).json<Wire>()).id,
			);
		for (const id of jobs) await ended(account, id);
		await eventually(() => expect(receiver.accepted).toHaveLength(2), 5_000);
		expect((await dump(account.stub)).webhook).toHaveLength(1);
		expect(
			receiver.received.map(({ message }) => message.data.id).sort(),
		).toEqual([jobs[0], jobs[2]].sort());
	});

	it("both secrets sign after the account's was rotated", async () => {
		fakeWorker({ tokens: words(1) });
		const account = await newAccount(CREDIT);
		const receiver = new Receiver("rotated.example.org");
		const old = (await api(account, "GET", "/webhooks/secret")).secret;
		const tell = async (count: number) => {
			const { id } = await (
				await named(account, { url: receiver.url })
			).json<Wire>();
			await ended(account, id);
			await eventually(() => expect(receiver.accepted).toHaveLength(count));
		};
		await tell(1);
		const fresh = (await api(account, "POST", "/webhooks/secret/rotate"))
			.secret;
		expect(fresh).not.toBe(old);
		expect((await api(account, "GET", "/webhooks/secret")).secret).toBe(fresh);
		await tell(2);
		for (const secret of [old, fresh])
			verified(secret, receiver.received[1] as Received);
		expect(() => verified(fresh, receiver.received[0] as Received)).toThrow();
	});

	it("that leads nowhere public is refused before anything is held", async () => {
		fakeWorker({ tokens: words(1) });
		const account = await newAccount(CREDIT);
		for (const url of [
			"http://a.org/",
			"https://10.0.0.1/",
			"https://u:p@a.org/",
		]) {
			const answer = await named(account, { url });
			expect(await answer.json()).toMatchObject({
				status: 422,
				code: "url_refused",
				field: "webhook.url",
			});
		}
		expect((await dump(account.stub)).job).toEqual([]);
	});

	it("is part of the request: the same name with another one is another request", async () => {
		fakeWorker({ tokens: words(1) });
		const account = await newAccount(CREDIT);
		const post = (webhook: object) =>
			call(account, "", {
				body: { ...JOB_REQUEST, webhook },
				headers: { "Idempotency-Key": "one" },
			});
		const url = "https://quiet.example.org/";
		const id = (await (await post({ url })).json<Wire>()).id;
		expect((await (await post({ url })).json<Wire>()).id).toBe(id);
		expect((await post({ url: `${url}other` })).status).toBe(409);
	});
});

describe("the golden signatures", () => {
	it.each(vectors.vectors)(
		"$name",
		({ secret, id, timestamp, body, signature, now, valid }) => {
			vi.useFakeTimers({ now: now * 1000, toFake: ["Date"] });
			try {
				const verify = () =>
					new Verifier(secret).verify(body, {
						"webhook-id": id,
						"webhook-timestamp": String(timestamp),
						"webhook-signature": signature,
					});
				if (valid) expect(verify()).toEqual(JSON.parse(body));
				else expect(verify).toThrow();
			} finally {
				vi.useRealTimers();
			}
		},
	);
});

it("an unknown webhook's endpoint is not woken, and leaves nothing", async () => {
	const account = await newAccount();
	const id = "wh_01JD8Z6Q3V9Y4K2M7N5P8R1S3T";
	for (const path of ["", "/deliveries"])
		await edge.fetch(`http://edge.test/v1/webhooks/${id}${path}`, {
			headers: { Authorization: `Bearer ${account.key}` },
		});
	await runInDurableObject(endpointStub(account, id), (_, { storage }) => {
		expect(
			storage.sql
				.exec("SELECT name FROM sqlite_master")
				.toArray()
				.filter(({ name }) => !String(name).startsWith("_cf")),
		).toEqual([]);
	});
});
