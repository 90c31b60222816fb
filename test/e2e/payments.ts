/**
 * Stripe for tests: stripe-mock checks what it is asked for. It answers no payment page and no
 * charge that went through, so one stands in front of it that does: a visit to the page pays, and
 * the signed event arrives.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Stripe from "stripe";
import { stripeMock } from "../../scripts/paths.mjs";
import { freePort } from "../../scripts/ports.mjs";
import { launch } from "../../scripts/process.mjs";

export const WEBHOOK_SECRET = "whsec_of_this_test";

export interface Payments {
	url: string;
	/** What the edge sends events to; set once it runs. */
	webhook: string;
	stop: () => Promise<void>;
}

export async function startPayments(state: string): Promise<Payments> {
	const address = `127.0.0.1:${await freePort()}`;
	const daemon = await launch(stripeMock, ["-http-addr", address], {
		log: join(state, "stripe-mock.log"),
	});
	while (!(await fetch(`http://${address}`).catch(() => null))) {
		if (daemon.exit) throw new Error(`stripe-mock ended; see ${daemon.log}`);
		await sleep(50);
	}
	/** The forms of payment pages, by their number. */
	const pages: URLSearchParams[] = [];
	const server = createServer(async (request, response) => {
		const chunks: Buffer[] = [];
		for await (const chunk of request) chunks.push(chunk);
		const body = Buffer.concat(chunks);
		const { pathname } = new URL(request.url ?? "/", payments.url);
		const visited = pages[Number(/^\/pay\/(\d+)$/.exec(pathname)?.[1] ?? -1)];
		if (visited) {
			await pay(payments.webhook, visited);
			response.writeHead(303, { Location: visited.get("success_url") ?? "/" });
			response.end();
			return;
		}
		const answer = await fetch(`http://${address}${request.url}`, {
			method: request.method ?? "GET",
			headers: {
				Authorization: request.headers.authorization ?? "",
				"Content-Type": request.headers["content-type"] ?? "",
			},
			...(body.length > 0 && { body }),
		});
		const json = (await answer.json()) as Record<string, unknown>;
		if (json.object === "checkout.session") {
			const form = new URLSearchParams(body.toString());
			json.url = `${payments.url}/pay/${pages.push(form) - 1}`;
		}
		// stripe-mock charges no card.
		if (json.object === "payment_intent")
			Object.assign(json, { id: newId("pi"), status: "succeeded" });
		response.writeHead(answer.status, { "Content-Type": "application/json" });
		response.end(JSON.stringify(json));
	});
	await new Promise<void>((listening) =>
		server.listen(0, "127.0.0.1", listening),
	);
	const { port } = server.address() as AddressInfo;
	const payments: Payments = {
		url: `http://127.0.0.1:${port}`,
		webhook: "",
		stop: async () => {
			server.closeAllConnections();
			server.close();
			await daemon.kill();
		},
	};
	return payments;
}

/** Sends the event of a payment, signed. */
async function pay(webhook: string, form: URLSearchParams): Promise<void> {
	const payload = JSON.stringify({
		id: "evt_1",
		object: "event",
		type: "checkout.session.completed",
		data: {
			object: {
				payment_status: "paid",
				currency: "usd",
				payment_intent: newId("pi"),
				customer: newId("cus"),
				amount_total: Number(
					form.get("line_items[0][price_data][unit_amount]"),
				),
				metadata: {
					account: form.get("metadata[account]"),
					save_card: form.get("metadata[save_card]"),
				},
			},
		},
	});
	const signature = Stripe.webhooks.generateTestHeaderString({
		payload,
		secret: WEBHOOK_SECRET,
	});
	const response = await fetch(webhook, {
		method: "POST",
		headers: { "Stripe-Signature": signature },
		body: payload,
	});
	if (!response.ok) throw new Error(`the webhook answered ${response.status}`);
}

const newId = (kind: string): string =>
	`${kind}_${crypto.randomUUID().replaceAll("-", "")}`;
