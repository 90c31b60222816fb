import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { newAccountId } from "../../src/api-key.ts";
import { newJobId } from "../../src/ids.ts";
import { edge } from "../support/edge.ts";
import type { FakeReplicate } from "../support/fake-replicate.ts";
import { events, textOf, words } from "../support/jobs.ts";
import { replicate, startedThere } from "../support/jobs-on-replicate.ts";

const WORDS = words(5);

/** A prediction that nobody follows, for this job. */
async function orphan(
	fake: FakeReplicate,
	account: string,
	job: string,
	model = "llama2-7b",
): Promise<FakeReplicate["predictions"][number]> {
	const webhook = `https://api.test/internal/replicate/${model}/${account}/${job}`;
	const response = await fake.fetch(
		new Request(
			"http://replicate.test/v1/deployments/acme/llama2-7b/predictions",
			{
				method: "POST",
				headers: { Authorization: "Bearer r8_test" },
				body: JSON.stringify({
					input: { messages: "[]", max_tokens: 9 },
					webhook,
				}),
			},
		),
	);
	expect(response.status).toBe(201);
	return fake.predictions.at(-1) as FakeReplicate["predictions"][number];
}

describe("a message of Replicate", () => {
	it("wakes a job whose process died and whose alarm was lost", async () => {
		const fake = replicate({ tokens: WORDS });
		fake.allowed = 2;
		const job = await startedThere();
		await events(job, 0, ({ type }) => type === "token");
		await runInDurableObject(job.stub(), async (_, { storage }) => {
			await storage.deleteAlarm();
			await storage.sync();
		});
		await runInDurableObject(job.stub(), (_, state) => {
			state.abort("the process dies");
		}).catch(() => {});
		fake.allowed = Number.POSITIVE_INFINITY;
		const [prediction] = fake.predictions;
		if (!prediction) throw new Error("no prediction was made");
		expect((await edge.fetch(await fake.webhook(prediction))).status).toBe(204);
		const seen = await events(job);
		expect(textOf(seen)).toBe(WORDS.join(""));
		expect(seen.at(-2)?.type).toBe("job.succeeded");
		expect(fake.predictions).toHaveLength(1);
	});

	it("about a prediction that outlived its job ends it, at the first sign of life", async () => {
		const fake = replicate({ tokens: WORDS });
		const job = await startedThere();
		await events(job);
		fake.allowed = 0;
		const gone = { account: newAccountId(), id: newJobId(Date.now()) };
		for (const { account, id } of [
			{ account: job.account.id, id: job.id },
			gone,
		]) {
			const left = await orphan(fake, account, id);
			expect((await edge.fetch(await fake.webhook(left))).status).toBe(204);
			expect(left.canceled).toBe(0);
		}
	});

	it("about a prediction that its job follows leaves it alone", async () => {
		const fake = replicate({ tokens: WORDS });
		fake.allowed = 2;
		const job = await startedThere();
		await events(job, 0, ({ type }) => type === "token");
		const [prediction] = fake.predictions;
		if (!prediction) throw new Error("no prediction was made");
		expect((await edge.fetch(await fake.webhook(prediction))).status).toBe(204);
		expect(prediction.canceled).toBe(null);
		fake.allowed = Number.POSITIVE_INFINITY;
		expect(textOf(await events(job))).toBe(WORDS.join(""));
	});

	it.each([
		[
			"that another secret signed",
			{ secret: "whsec_AAAAVsBQIhrscChlQIMV+b5sSYspob7o" },
			{},
		],
		["that is six minutes old", { at: Date.now() - 360_000 }, {}],
		["from the future", { at: Date.now() + 360_000 }, {}],
		["that was changed on the way", {}, { change: true }],
		["without a signature", {}, { drop: "webhook-signature" }],
		["without a time", {}, { drop: "webhook-timestamp" }],
		["for a model that is not on Replicate", {}, { model: "nano" }],
		["for a model that there is not", {}, { model: "constructor" }],
		["for what is no account", {}, { account: "me" }],
		["for what is no job", {}, { job: "01jd8z6q3v9y4k2m7n5p8r1s3t" }],
	] as const)(
		"%s does nothing, and is told that there is nothing",
		async (_, sign, more) => {
			const fake = replicate({ tokens: WORDS });
			fake.allowed = 0;
			const {
				change,
				drop,
				model,
				account = newAccountId(),
				job = newJobId(Date.now()),
			} = more as Record<string, string>;
			const left = await orphan(fake, account, job, model);
			const sent = await fake.webhook(left, sign);
			if (drop) sent.headers.delete(drop);
			const request = change
				? new Request(sent.url, {
						method: "POST",
						headers: sent.headers,
						body: (await sent.text()).replace(
							'"source":"api"',
							'"source":"web"',
						),
					})
				: sent;
			expect((await edge.fetch(request)).status).toBe(404);
			expect(left.canceled).toBe(null);
		},
	);
});
