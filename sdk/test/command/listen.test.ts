import { expect, it } from "vitest";
import { signed } from "../../src/command/listen.ts";
import { webhooks } from "../../src/index.ts";

it("signs so that `webhooks.verify` believes it, and nothing else of it", async () => {
	const secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
	const body = JSON.stringify({ type: "job.succeeded", data: { text: "ü" } });
	const headers = signed("evt_1", body, secret, Date.now());
	expect(await webhooks.verify(body, headers, secret)).toEqual(
		JSON.parse(body),
	);
	await expect(webhooks.verify(`${body} `, headers, secret)).rejects.toThrow(
		"No signature fits",
	);
});

it("signs as the reference libraries do", () => {
	// The vector that their own tests share.
	const headers = signed(
		"msg_p5jXN8AQM9LWM0D4loKWxJek",
		'{"test": 2432232314}',
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		1_614_265_330_000,
	);
	expect(headers).toEqual({
		"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
		"webhook-timestamp": "1614265330",
		"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
	});
});
