import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Account } from "../../src/account/account.ts";
import { config } from "../../src/env.ts";
import { unwrap } from "../../src/errors.ts";
import {
	bindings,
	moveClock,
	newAccount,
	type TestAccount,
} from "../support/account.ts";
import { create, ended, refusal, type Wire } from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { fakeWorker, words } from "../support/jobs.ts";

const USD = 1_000_000;
const RULE = { below: 2 * USD, amount: 10 * USD, monthly_cap: 20 * USD };

let account: TestAccount;
/** What Stripe answers to a charge; null for no answer. */
let charge: { status: number; body: object } | null;
let charges: { form: URLSearchParams; name: string | null }[];

beforeEach(async () => {
	const STRIPE = {
		secret_key: "sk_test_secret",
		webhook_secret: "whsec_test",
		api: "http://stripe.test",
	};
	Object.assign(config(bindings), { STRIPE });
	fakeWorker({ tokens: words(3) });
	account = await newAccount(3 * USD);
	await runInDurableObject(account.stub, (object: Account) => {
		const env = { ...bindings, STRIPE: JSON.stringify(STRIPE) };
		Object.defineProperty(object, "env", { value: env });
	});
	charges = [];
	charge = { status: 200, body: { id: newPayment(), status: "succeeded" } };
	const before = globalThis.fetch;
	vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
		const url = input instanceof Request ? input.url : String(input);
		if (!url.startsWith("http://stripe.test")) return before(input, init);
		const request = new Request(input as RequestInfo, init as RequestInit);
		if (url.includes("/payment_methods"))
			return Response.json({ object: "list", data: [{ id: "pm_1" }] });
		charges.push({
			form: new URLSearchParams(await request.text()),
			name: request.headers.get("Idempotency-Key"),
		});
		if (!charge) throw new Error("no connection");
		return Response.json(charge.body, { status: charge.status });
	});
});

const newPayment = () => `pi_${crypto.randomUUID()}`;
const api = (method: string, path: string, body?: object) =>
	edge.fetch(`http://edge.test/v1${path}`, {
		method,
		headers: {
			Authorization: `Bearer ${account.key}`,
			...(body && { "Content-Type": "application/json" }),
		},
		...(body && { body: JSON.stringify(body) }),
	});
const json = async (response: Promise<Response>): Promise<Wire> =>
	(await response).json();
const rule = (body: object = RULE) => api("PUT", "/billing/auto-top-up", body);
const shown = () => json(api("GET", "/billing/auto-top-up"));
const available = async (): Promise<number> =>
	(await json(api("GET", "/account"))).balance.available;
const saveCard = async () =>
	unwrap(
		await account.stub.payment(`stripe:${newPayment()}`, {
			type: "paid",
			amount: 1,
			customer: "cus_1",
		}),
	);
const spend = async (amount: number) => {
	const { id } = await json(create(account, { max_price: amount }));
	await ended(account, id);
};
const ring = () => runDurableObjectAlarm(account.stub);

describe("an automatic top-up", () => {
	it("needs a card that was saved with a payment", async () => {
		expect(await refusal(await rule())).toEqual([409, "no_saved_card"]);
		await saveCard();
		expect(await json(rule())).toEqual({
			object: "auto_top_up",
			status: "ready",
			...RULE,
			charged: 0,
			card_saved: true,
		});
	});

	it("charges the card once where a job leaves too little, and credits it once", async () => {
		await saveCard();
		const made = newPayment();
		charge = { status: 200, body: { id: made, status: "succeeded" } };
		await rule({ ...RULE, below: 3 * USD });
		expect(charges).toEqual([]);
		await spend(1_000);
		await ring();
		expect(charges).toHaveLength(1);
		const [{ form, name }] = charges as [(typeof charges)[number]];
		expect(name).toBe(`${account.id} auto 1`);
		expect(Object.fromEntries(form)).toEqual({
			amount: "1000",
			currency: "usd",
			customer: "cus_1",
			payment_method: "pm_1",
			off_session: "true",
			confirm: "true",
			"metadata[account]": account.id,
		});
		const balance = await available();
		expect(balance).toBeGreaterThan(12 * USD);
		// Stripe's event of the same payment adds nothing.
		await account.stub.payment(`stripe:${made}`, {
			type: "paid",
			amount: RULE.amount,
		});
		expect(await available()).toBe(balance);
		expect(await shown()).toMatchObject({ status: "ready", charged: 10 * USD });
	});

	it("is one charge under one name, however often no answer comes", async () => {
		await saveCard();
		charge = null;
		await rule({ ...RULE, below: 4 * USD });
		await ring();
		expect(await shown()).toMatchObject({ status: "charging" });
		await moveClock(account.stub, 61_000);
		await ring();
		charge = { status: 200, body: { id: newPayment(), status: "succeeded" } };
		await moveClock(account.stub, 122_000);
		await ring();
		expect(new Set(charges.map(({ name }) => name))).toEqual(
			new Set([`${account.id} auto 1`]),
		);
		expect(await available()).toBe(13 * USD + 1);
		await ring();
		expect(await available()).toBe(13 * USD + 1);
	});

	it("stops where the card is refused, and says so", async () => {
		await saveCard();
		charge = {
			status: 402,
			body: { error: { type: "card_error", code: "card_declined" } },
		};
		await rule({ ...RULE, below: 4 * USD });
		await ring();
		expect(await shown()).toMatchObject({ status: "declined", charged: 0 });
		await spend(1_000);
		await ring();
		expect(charges).toHaveLength(1);
		charge = { status: 200, body: { id: newPayment(), status: "succeeded" } };
		expect(await json(rule({ ...RULE, below: 4 * USD }))).toMatchObject({
			status: "charging",
		});
		await ring();
		expect(charges.at(-1)?.name).toBe(`${account.id} auto 2`);
		expect(await shown()).toMatchObject({ status: "ready" });
	});

	it("stops at the month's cap", async () => {
		await saveCard();
		await rule({ below: 100 * USD, amount: 10 * USD, monthly_cap: 25 * USD });
		for (let n = 0; n < 4; n++) {
			charge = { status: 200, body: { id: newPayment(), status: "succeeded" } };
			await ring();
		}
		expect(charges).toHaveLength(2);
		expect(await shown()).toMatchObject({
			status: "capped",
			charged: 20 * USD,
		});
		expect(await available()).toBe(23 * USD + 1);
	});

	it("ends when it is told to", async () => {
		await saveCard();
		await rule();
		expect(await json(api("DELETE", "/billing/auto-top-up"))).toMatchObject({
			status: "off",
			below: null,
			card_saved: true,
		});
		await spend(1_000);
		await ring();
		expect(charges).toEqual([]);
	});

	it("names what is wrong with a rule", async () => {
		await saveCard();
		for (const [wrong, field] of [
			[{ ...RULE, below: 0 }, "below"],
			[{ ...RULE, amount: 5 }, "amount"],
			[{ ...RULE, monthly_cap: RULE.amount - 1 }, "monthly_cap"],
			[{ below: 1, amount: USD }, "monthly_cap"],
		] as const)
			expect(await refusal(await rule(wrong))).toEqual([
				400,
				"invalid_request",
				field,
			]);
		Object.assign(config(bindings), { STRIPE: undefined });
		expect(await refusal(await rule())).toEqual([404, "payments_off"]);
	});
});
