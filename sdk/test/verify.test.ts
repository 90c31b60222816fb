import { createHmac, randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import vectors from "../../test/fixtures/webhooks/signatures.json" with {
	type: "json",
};
import { MiniGPT4, WebhookError, webhooks } from "../src/index.ts";

const NOW = 1_796_000_000;
const secret = (bytes = randomBytes(24)) => `whsec_${bytes.toString("base64")}`;
const SECRET = secret();
const BODY = JSON.stringify({ type: "job.succeeded", data: { text: "猫 🐈" } });

const sign = (body: string, id: string, time: number, by = SECRET) =>
	`v1,${createHmac("sha256", Buffer.from(by.slice(6), "base64"))
		.update(`${id}.${time}.${body}`)
		.digest("base64")}`;
const message = (body = BODY, time = NOW, by = SECRET) => ({
	"webhook-id": "evt_a_1",
	"webhook-timestamp": String(time),
	"webhook-signature": sign(body, "evt_a_1", time, by),
});
const now = { now: NOW * 1000 };

describe("the golden vectors", () => {
	for (const vector of vectors.vectors)
		it(`${vector.valid ? "accept" : "refuse"}: ${vector.name}`, async () => {
			const verified = webhooks.verify(
				vector.body,
				{
					"webhook-id": vector.id,
					"webhook-timestamp": String(vector.timestamp),
					"webhook-signature": vector.signature,
				},
				vector.secret,
				{ now: vector.now * 1000, tolerance: vectors.tolerance_s },
			);
			if (vector.valid) expect(await verified).toEqual(JSON.parse(vector.body));
			else await expect(verified).rejects.toBeInstanceOf(WebhookError);
		});
});

describe("a message", () => {
	it("is accepted as bytes or text, with headers of any kind", async () => {
		const headers = message();
		const upper = Object.fromEntries(
			Object.entries(headers).map(([name, value]) => [
				name.toUpperCase(),
				[value],
			]),
		);
		const bytes = new TextEncoder().encode(BODY);
		for (const body of [BODY, bytes, bytes.buffer])
			for (const of of [headers, upper, new Headers(headers)])
				expect(await webhooks.verify(body, of, SECRET, now)).toEqual(
					JSON.parse(BODY),
				);
		const client = new MiniGPT4({ apiKey: "x" });
		expect(
			await client.webhooks.verify(BODY, headers, SECRET, now),
		).toBeTruthy();
	});

	it("is accepted if any secret fits any signature", async () => {
		const other = secret();
		const both = {
			...message(),
			"webhook-signature": [
				"v1a,AAAA",
				sign(BODY, "evt_a_1", NOW, other),
				sign(BODY, "evt_a_1", NOW),
			].join(" "),
		};
		expect(await webhooks.verify(BODY, both, SECRET, now)).toBeTruthy();
		expect(
			await webhooks.verify(BODY, message(), [other, SECRET], now),
		).toBeTruthy();
	});

	it("is refused if any byte of it changed", async () => {
		const bytes = new TextEncoder().encode(BODY);
		await fc.assert(
			fc.asyncProperty(
				fc.nat(bytes.length - 1),
				fc.integer({ min: 1, max: 255 }),
				async (at, by) => {
					const other = bytes.slice();
					other[at] = (other[at] as number) ^ by;
					await expect(
						webhooks.verify(other, message(), SECRET, now),
					).rejects.toMatchObject({ code: "signature_mismatch" });
				},
			),
		);
	});

	it("is refused with another id, time, secret or scheme", async () => {
		for (const [headers, by] of [
			[{ ...message(), "webhook-id": "evt_a_2" }, SECRET],
			[{ ...message(), "webhook-timestamp": String(NOW + 1) }, SECRET],
			[message(), secret()],
			[message(), []],
			[
				{
					...message(),
					"webhook-signature": message()["webhook-signature"].replace(
						"v1,",
						"v2,",
					),
				},
				SECRET,
			],
			[{ ...message(), "webhook-signature": "v1," }, SECRET],
			[{ ...message(), "webhook-signature": "v1,%%%" }, SECRET],
		] as const)
			await expect(
				webhooks.verify(BODY, headers, by as string, now),
			).rejects.toMatchObject({ code: "signature_mismatch" });
	});

	it("is refused if it is too old or from the future", async () => {
		for (const [age, code] of [
			[301, "timestamp_too_old"],
			[-301, "timestamp_too_new"],
		] as const)
			await expect(
				webhooks.verify(BODY, message(BODY, NOW - age), SECRET, now),
			).rejects.toMatchObject({ code });
		for (const age of [300, -300])
			expect(
				await webhooks.verify(BODY, message(BODY, NOW - age), SECRET, now),
			).toBeTruthy();
		await expect(
			webhooks.verify(BODY, message(BODY, NOW - 11), SECRET, {
				...now,
				tolerance: 10,
			}),
		).rejects.toMatchObject({ code: "timestamp_too_old" });
	});

	it("is refused if something is missing or malformed, and the error says what", async () => {
		for (const name of Object.keys(message())) {
			const { [name as never]: _, ...headers } = message();
			await expect(webhooks.verify(BODY, headers, SECRET, now)).rejects.toThrow(
				name,
			);
		}
		const when = { ...message(), "webhook-timestamp": "soon" };
		await expect(
			webhooks.verify(BODY, when, SECRET, now),
		).rejects.toMatchObject({ code: "timestamp_invalid" });
		for (const by of ["", "whsec_", "whsec_%%"])
			await expect(
				webhooks.verify(BODY, message(), by, now),
			).rejects.toMatchObject({ code: "secret_invalid" });
		await expect(
			webhooks.verify("{", message("{"), SECRET, now),
		).rejects.toMatchObject({ code: "body_invalid" });
	});
});
