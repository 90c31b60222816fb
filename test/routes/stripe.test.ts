import { runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import Stripe from "stripe";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Account } from "../../src/account/account.ts";
import { config } from "../../src/env.ts";
import { unwrap } from "../../src/errors.ts";
import { bindings, newAccount, type TestAccount } from "../support/account.ts";
import {
	create,
	ended,
	priceOf,
	refusal,
	type Wire,
} from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { fakeWorker, words } from "../support/jobs.ts";

const SECRET = "whsec_test";
const CENT = 10_000;

let account: TestAccount;
let payment: string;

beforeEach(async () => {
	Object.assign(config(bindings), {
		STRIPE: {
			secret_key: "sk_test_secret",
			webhook_secret: SECRET,
			api: "http://stripe.test",
		},
	});
	fakeWorker({ tokens: words(3) });
	account = await newAccount();
	payment = `pi_${crypto.randomUUID()}`;
});

interface News {
	type: string;
	object: Record<string, unknown>;
}

const paid = (cents: number, more: object = {}): News => ({
	type: "checkout.session.completed",
	object: {
		payment_status: "paid",
		currency: "usd",
		amount_total: cents,
		payment_intent: payment,
		metadata: { account: account.id },
		...more,
	},
});
const refunded = (cents: number): News => ({
	type: "charge.refunded",
	object: {
		payment_intent: payment,
		amount_refunded: cents,
		metadata: { account: account.id },
	},
});
const dispute = (what: "withdrawn" | "reinstated", cents: number): News => ({
	type: `charge.dispute.funds_${what}`,
	object: { id: "dp_1", amount: cents, payment_intent: payment },
});

/** Sends an event as Stripe does. */
async function tell(
	{ type, object }: News,
	{ secret = SECRET, age = 0, change = (body: string) => body } = {},
): Promise<Response> {
	const body = JSON.stringify({
		id: `evt_${crypto.randomUUID()}`,
		object: "event",
		type,
		data: { object },
	});
	const signature = await Stripe.webhooks.generateTestHeaderStringAsync({
		payload: body,
		secret,
		timestamp: Math.floor(Date.now() / 1000) - age,
		cryptoProvider: Stripe.createSubtleCryptoProvider(),
	});
	return edge.fetch("http://edge.test/internal/stripe", {
		method: "POST",
		headers: { "Stripe-Signature": signature },
		body: change(body),
	});
}
const all = async (...news: News[]) => {
	for (const each of news) expect((await tell(each)).status).toBe(204);
};
const get = async (path: string): Promise<Wire> =>
	(
		await edge.fetch(`http://edge.test/v1${path}`, {
			headers: { Authorization: `Bearer ${account.key}` },
		})
	).json();
const available = async (): Promise<number> =>
	(await get("/account")).balance.available;

describe("a card payment that Stripe tells of", () => {
	it("is credited once, and the statement names it", async () => {
		await all(paid(500), paid(500));
		await all({
			...paid(500),
			type: "checkout.session.async_payment_succeeded",
		});
		expect(await available()).toBe(500 * CENT);
		const { data } = await get("/ledger");
		expect(data).toMatchObject([
			{ kind: "credit", credit: `stripe:${payment}:1`, amount: 500 * CENT },
		]);
	});

	it("is worth the same in whatever order, however often, its events come", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.shuffledSubarray([0, 1, 2, 3, 4, 0, 1, 2, 3, 4], { minLength: 10 }),
				async (order) => {
					account = await newAccount();
					payment = `pi_${crypto.randomUUID()}`;
					const news = [
						paid(1_000),
						refunded(100),
						refunded(250),
						dispute("withdrawn", 300),
						dispute("reinstated", 300),
					];
					let untold = order;
					// What is answered with an error is told again.
					while (untold.length > 0) {
						const again: number[] = [];
						for (const n of untold)
							if ((await tell(news[n] as News)).status !== 204) again.push(n);
						untold = again;
					}
					expect(await available()).toBe(750 * CENT);
				},
			),
			{ numRuns: 15 },
		);
	});

	it("is taken back by a refund: at once, or from the next credit where it is spent", async () => {
		await all(paid(100));
		const { id } = await (await create(account)).json<Wire>();
		await ended(account, id);
		const spent = priceOf(3);
		await all(refunded(100));
		expect(await available()).toBe(0);
		expect((await get("/ledger")).data[0]).toMatchObject({
			kind: "reversal",
			credit: `stripe:${payment}:2`,
			amount: spent - 100 * CENT,
			balance: { available: 0, held: 0 },
		});
		const refused = await create(account);
		expect(await refused.json()).toMatchObject({
			code: "payment_owed",
			owed: spent,
		});
		payment = `pi_${crypto.randomUUID()}`;
		await all(paid(200));
		expect(await available()).toBe(200 * CENT - spent);
		expect((await create(account)).status).toBe(202);
	});

	it("that is owed is also paid by what an operator grants", async () => {
		await all(paid(100));
		const { id } = await (await create(account)).json<Wire>();
		await ended(account, id);
		await all(refunded(100));
		await account.stub.credit({ id: "goodwill", amount: 5_000 });
		expect(await available()).toBe(5_000 - priceOf(3));
	});

	it("is taken back while its bank disputes it, and comes again where we win", async () => {
		await all(paid(100), dispute("withdrawn", 100));
		expect(await available()).toBe(0);
		await all(dispute("reinstated", 100), dispute("withdrawn", 100));
		expect(await available()).toBe(100 * CENT);
	});

	it("waits where a dispute comes before it: Stripe tells again of what is not taken", async () => {
		expect(await refusal(await tell(dispute("withdrawn", 100)))).toEqual([
			404,
			"payment_not_found",
		]);
		await all(paid(100), dispute("withdrawn", 100));
		expect(await available()).toBe(0);
	});

	it("moves no money where nothing was paid, nor in another currency", async () => {
		await all(
			paid(100, { payment_status: "unpaid" }),
			paid(100, { currency: "eur" }),
			paid(100, { payment_intent: null }),
			{ ...paid(100), type: "payment_intent.created" },
		);
		expect(await available()).toBe(0);
	});

	it("passes the audit, with its reversals", async () => {
		await all(paid(100), refunded(40), dispute("withdrawn", 60));
		const audited = async () => {
			await runInDurableObject(account.stub, async (object, { storage }) => {
				storage.sql.exec("UPDATE due SET at = 1 WHERE key = 'ledger:audit'");
				await (object as Account).alarm();
			});
			return unwrap(await account.stub.show()).account.audit;
		};
		expect(await audited()).toMatchObject({ seq: 3, mismatch: null });
		await runInDurableObject(account.stub, (_, { storage }) =>
			storage.sql.exec("UPDATE credit SET amount = 1 WHERE id LIKE '%:2'"),
		);
		payment = `pi_${crypto.randomUUID()}`;
		await all(paid(5));
		await runInDurableObject(account.stub, (_, { storage }) =>
			storage.sql.exec(
				"UPDATE audit SET seq = 0, balances = ?, open = '[]'",
				'{"funding":0,"available":0,"held":0,"revenue":0}',
			),
		);
		expect((await audited()).mismatch).toMatch(/^entry 2: the reversal was 1 /);
	});
});

describe("an event that Stripe did not sign", () => {
	it.each([
		["another secret", { secret: "whsec_other" }],
		["an old signature", { age: 301 }],
		[
			"a changed body",
			{ change: (body: string) => body.replace(":100,", ":999,") },
		],
	])("is refused, with %s", async (_, how) => {
		expect(await refusal(await tell(paid(100), how))).toEqual([
			400,
			"invalid_signature",
		]);
		expect(await available()).toBe(0);
	});

	it("is refused, without a signature or to a deployment without Stripe", async () => {
		const post = () =>
			edge.fetch("http://edge.test/internal/stripe", {
				method: "POST",
				body: "{}",
			});
		expect(await refusal(await post())).toEqual([400, "invalid_signature"]);
		Object.assign(config(bindings), { STRIPE: undefined });
		expect((await post()).status).toBe(404);
	});
});

describe("POST /v1/billing/top-ups", () => {
	const topUp = (body: unknown, headers = {}) =>
		edge.fetch("http://edge.test/v1/billing/top-ups", {
			method: "POST",
			headers: {
				Authorization: `Bearer ${account.key}`,
				"Content-Type": "application/json",
				...headers,
			},
			body: JSON.stringify(body),
		});

	function stripeAnswers(answer: (request: Request) => Promise<Response>) {
		const before = globalThis.fetch;
		vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
			const url = input instanceof Request ? input.url : String(input);
			return url.startsWith("http://stripe.test")
				? answer(new Request(input as RequestInfo, init as RequestInit))
				: before(input, init);
		});
	}

	it("answers a payment page for so many cents, which names the account", async () => {
		const asked: [URLSearchParams, string | null][] = [];
		stripeAnswers(async (request) => {
			const form = new URLSearchParams(await request.text());
			asked.push([form, request.headers.get("Idempotency-Key")]);
			return Response.json({ id: "cs_1", url: "https://pay.test/cs_1" });
		});
		const response = await topUp(
			{ amount: 12_340_000 },
			{ "Idempotency-Key": "mine" },
		);
		expect(response.status).toBe(201);
		expect(await response.json()).toEqual({
			object: "top_up",
			amount: 12_340_000,
			url: "https://pay.test/cs_1",
		});
		const [[form, name]] = asked as [[URLSearchParams, string]];
		expect(name).toMatch(new RegExp(`^${account.id} [0-9a-f]{64}$`));
		expect(Object.fromEntries(form)).toMatchObject({
			mode: "payment",
			"metadata[account]": account.id,
			"payment_intent_data[metadata][account]": account.id,
			"line_items[0][price_data][unit_amount]": "1234",
			"line_items[0][price_data][currency]": "usd",
			success_url: "http://edge.test/console?paid=yes",
		});
	});

	it("has the card kept where that is asked for, and notes whose it is", async () => {
		const asked: URLSearchParams[] = [];
		stripeAnswers(async (request) => {
			asked.push(new URLSearchParams(await request.text()));
			return Response.json({ id: "cs_1", url: "https://pay.test/cs_1" });
		});
		await topUp({ amount: 1_000_000, save_card: true });
		expect(Object.fromEntries(asked[0] as URLSearchParams)).toMatchObject({
			customer_creation: "always",
			"payment_intent_data[setup_future_usage]": "off_session",
			"metadata[save_card]": "yes",
		});
		const saved = async () => (await get("/billing/auto-top-up")).card_saved;
		await all(paid(100, { customer: "cus_1" }));
		expect(await saved()).toBe(false);
		const metadata = { account: account.id, save_card: "yes" };
		await all(paid(100, { customer: "cus_1", metadata }));
		expect(await saved()).toBe(true);
	});

	it("says so where Stripe does not answer, and logs no secret", async () => {
		const log = vi.spyOn(console, "log");
		stripeAnswers(async () =>
			Response.json(
				{ error: { type: "api_error", message: "sk_test_secret" } },
				{ status: 400 },
			),
		);
		expect(await refusal(await topUp({ amount: 1_000_000 }))).toEqual([
			503,
			"payments_unavailable",
		]);
		expect(log.mock.calls.join("\n")).not.toContain("sk_test_secret");
	});

	it("takes whole cents from one dollar on, where payments are on", async () => {
		for (const amount of [999_999, 1_000_001, 1.5, -1_000_000, "10", 1e11])
			expect(await refusal(await topUp({ amount }))).toEqual([
				400,
				"invalid_request",
				"amount",
			]);
		Object.assign(config(bindings), { STRIPE: undefined });
		expect(await refusal(await topUp({ amount: 1_000_000 }))).toEqual([
			404,
			"payments_off",
		]);
	});
});
