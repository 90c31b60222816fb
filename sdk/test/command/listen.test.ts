import { expect, it } from "vitest";
import { signatureHeaders } from "../../src/command/listen.ts";
import { webhooks } from "../../src/index.ts";

it("signs a message so that `webhooks.verify` accepts it and no changed one", async () => {
	const secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
	const body = JSON.stringify({ type: "job.succeeded", data: { text: "ü" } });
	const headers = signatureHeaders("evt_1", body, secret, Date.now());
	expect(await webhooks.verify(body, headers, secret)).toEqual(
		JSON.parse(body),
	);
	await expect(webhooks.verify(`${body} `, headers, secret)).rejects.toThrow(
		"No signature fits",
	);
});

it("signs as the reference libraries do", () => {
	// The test vector of those libraries.
	const headers = signatureHeaders(
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
