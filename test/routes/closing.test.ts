import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Account } from "../../src/account/account.ts";
import { config } from "../../src/env.ts";
import { unwrap } from "../../src/errors.ts";
import { directoryOf } from "../../src/objects.ts";
import {
	bindings,
	dump,
	newAccount,
	type TestAccount,
} from "../support/account.ts";
import {
	create,
	ended,
	PNG,
	refusal,
	uploaded,
	type Wire,
} from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { eventually } from "../support/eventually.ts";
import { bucket, fakeWorker, gate, words } from "../support/jobs.ts";

const CREDIT = 1_000_000;
let account: TestAccount;

beforeEach(async () => {
	bucket.clear();
	fakeWorker({ tokens: words(3) });
	account = await newAccount(CREDIT);
});

const api = (method: string, path: string, body?: object, key = account.key) =>
	edge.fetch(`http://edge.test/v1${path}`, {
		method,
		headers: {
			Authorization: `Bearer ${key}`,
			...(body && { "Content-Type": "application/json" }),
		},
		...(body && { body: JSON.stringify(body) }),
	});
const close = (confirm = account.id, key = account.key) =>
	api("DELETE", `/account?confirm=${confirm}`, undefined, key);
const admin = (method: string, path: string, body?: object) =>
	edge.fetch(`http://edge.test/admin/accounts/${account.id}${path}`, {
		method,
		headers: {
			Authorization: `Bearer ${config(bindings).ADMIN_SECRET}`,
			...(body && { "Content-Type": "application/json" }),
		},
		...(body && { body: JSON.stringify(body) }),
	});
/** Everything that is due, until nothing is. */
const settleDown = () =>
	eventually(
		async () => {
			await runDurableObjectAlarm(account.stub);
			const { job, event, due } = await dump(account.stub);
			expect([job, event, due]).toEqual([[], [], []]);
		},
		{ timeout: 20_000 },
	);

describe("an account that its owner closes", () => {
	it("loses its keys at once, then its jobs, images, webhooks and events", async () => {
		const photo = await uploaded(account);
		for (const images of [[{ url: PNG }], [{ upload: photo }]]) {
			const job = await (await create(account, { images })).json<Wire>();
			await ended(account, job.id);
		}
		await api("POST", "/webhooks", { url: "https://receiver.test/hooks" });
		expect(bucket.size).toBeGreaterThan(0);
		expect((await close()).status).toBe(204);
		expect(await refusal(await api("GET", "/account"))).toEqual([
			401,
			"revoked_key",
		]);
		await runInDurableObject(account.stub, (object: Account) => {
			// Objects that a late PUT might bring are deleted once more, long after.
			object.clock = () => Date.now() + 10 * 86_400_000;
		});
		await settleDown();
		expect([...bucket.keys()]).toEqual([]);
		const left = await dump(account.stub);
		expect(
			left.upload?.filter((row) => (row as Wire).status !== "deleted"),
		).toEqual([]);
		expect(left.webhook).toEqual([]);
		expect(left.account).toMatchObject([{ name: "", cache_secret: "" }]);
		const text = JSON.stringify(left);
		expect(text).not.toContain("What is in this picture?");
		expect(text).not.toContain("receiver.test");
	});

	it("keeps its ledger, and is nobody's for operators", async () => {
		const job = await (await create(account)).json<Wire>();
		const { price } = await ended(account, job.id);
		const entries = (await dump(account.stub)).entry;
		await close();
		await settleDown();
		expect((await dump(account.stub)).entry).toEqual(entries);
		expect(await (await admin("GET", "")).json()).toMatchObject({
			name: "",
			closed_at: expect.any(String),
			balance: { available: CREDIT - price, held: 0 },
		});
		for (const [path, body] of [
			["/keys", { name: "k" }],
			["/credits", { id: "more", amount: 1 }],
		] as const)
			expect(await refusal(await admin("POST", path, body))).toEqual([
				409,
				"account_closed",
			]);
	});

	it("is forgotten as a person's, who then has another one", async () => {
		const directory = directoryOf(bindings);
		const ada = { issuer: "https://id.test", subject: crypto.randomUUID() };
		const fresh = { id: account.id, name: "Ada", welcome: 7 };
		await directory.accountOf(ada, fresh);
		await close();
		await settleDown();
		expect(
			await directory.accountOf(ada, { ...fresh, id: "fedcba9876543210" }),
		).toMatchObject({ id: "fedcba9876543210", welcome: 0 });
	});

	it("has the saved card forgotten too, however often that is asked for", async () => {
		const STRIPE = JSON.stringify({
			secret_key: "sk_test_secret",
			webhook_secret: "whsec_test",
			api: "http://stripe.test",
		});
		await runInDurableObject(account.stub, (object: Account) => {
			const env = { ...bindings, STRIPE };
			Object.defineProperty(object, "env", { value: env });
		});
		const asked: string[] = [];
		const before = globalThis.fetch;
		vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
			const url = input instanceof Request ? input.url : String(input);
			if (!url.startsWith("http://stripe.test")) return before(input, init);
			const { method } = new Request(input as RequestInfo, init as RequestInit);
			asked.push(`${method} ${new URL(url).pathname}`);
			return Response.json({ id: "cus_1", deleted: true });
		});
		unwrap(
			await account.stub.payment("stripe:pi_1", {
				type: "paid",
				amount: 1,
				customer: "cus_1",
			}),
		);
		await close();
		await settleDown();
		expect(asked).toEqual(["DELETE /v1/customers/cus_1"]);
		expect((await dump(account.stub)).account).toMatchObject([
			{ auto_top_up: null },
		]);
	});

	it("is not closed while a job runs", async () => {
		const hold = gate();
		fakeWorker({ tokens: words(3), gate: () => hold.opened });
		const job = await (await create(account)).json<Wire>();
		expect(await refusal(await close())).toEqual([409, "account_busy"]);
		hold.open();
		await ended(account, job.id);
		expect((await close()).status).toBe(204);
	});

	it("is not closed by mistake, nor by a key that administers no keys", async () => {
		expect(await refusal(await close("0123456789abcdef"))).toEqual([
			400,
			"invalid_request",
			"confirm",
		]);
		const made = await api("POST", "/keys", { name: "usual" });
		const { key } = await made.json<Wire>();
		expect((await close(account.id, key)).status).toBe(403);
		expect((await api("GET", "/account")).status).toBe(200);
	});
});
