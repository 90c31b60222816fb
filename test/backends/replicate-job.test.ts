/** Jobs of a model that Replicate runs, on the real objects. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { newAccount } from "../support/account.ts";
import { call, ended, JOB_REQUEST, type Wire } from "../support/calls.ts";
import { eventually } from "../support/eventually.ts";
import { VERSION } from "../support/fake-replicate.ts";
import { poolFrom } from "../support/gather.ts";
import { gather } from "../support/gather-objects.ts";
import { violations } from "../support/invariants.ts";
import {
	events,
	money,
	type TestJob,
	textOf,
	types,
	words,
} from "../support/jobs.ts";
import { pool, replicate, startedThere } from "../support/jobs-on-replicate.ts";

/** Nothing is left over, and the invariants of logs and ledger hold. */
async function isAtRest(job: TestJob): Promise<void> {
	await eventually(async () => {
		const gathered = await gather([job]);
		const pools = [
			await runInDurableObject(pool(), (_, { storage }) =>
				poolFrom((sql) => storage.sql.exec(sql).toArray()),
			),
		];
		expect(violations({ ...gathered, pools })).toEqual([]);
	});
}

const WORDS = words(8);

describe("a job on Replicate", () => {
	it("takes a conversation, and another job can continue it", async () => {
		const fake = replicate({ tokens: WORDS });
		const account = await newAccount(50_000);
		const told = async (body: object) => {
			const response = await call(account, "", { body });
			return ended(account, (await response.json<Wire>()).id);
		};
		const first = await told({ ...JOB_REQUEST, model: "llama2-7b" });
		const second = await told({ prompt: "And?", previous_job: first.id });
		expect(second).toMatchObject({ status: "succeeded", model: "llama2-7b" });
		const text = (text: string) => ({ type: "text", text });
		const input = fake.predictions[1]?.input as Record<string, string>;
		expect(JSON.parse(input.messages as string)).toEqual([
			{ role: "user", content: [{ type: "image" }, text("What is this?")] },
			{ role: "assistant", content: [text(WORDS.join(""))] },
			{ role: "user", content: [text("And?")] },
		]);
		expect(JSON.parse(input.images as string)).toHaveLength(1);
	});

	it("succeeds, with events, usage and price as on a worker", async () => {
		const fake = replicate({ tokens: WORDS, every: 5 });
		const job = await startedThere();
		const seen = await events(job);
		expect(types(seen)).toEqual([
			"job.queued",
			"job.running",
			"token",
			"usage",
			"job.succeeded",
			"done",
		]);
		expect(textOf(seen)).toBe(WORDS.join(""));
		expect(seen.at(-3)?.data).toEqual({
			images: 0,
			prompt_tokens: 11,
			output_tokens: 8,
		});
		expect(await job.stub().view()).toMatchObject({
			status: "succeeded",
			price: 11 + 8,
			outputTokens: 8,
		});
		expect(fake.predictions).toHaveLength(1);
		await isAtRest(job);
	});

	it("never exceeds its cap: room is kept for the longest prompt", async () => {
		const fake = replicate({ tokens: WORDS });
		const job = await startedThere({ maxPrice: 20 + 3, mostPromptTokens: 20 });
		const seen = await events(job);
		expect(fake.predictions[0]?.input.max_tokens).toBe(3);
		expect(textOf(seen)).toBe(WORDS.slice(0, 3).join(""));
		expect(seen.at(-2)?.data).toMatchObject({
			status: "succeeded",
			finish_reason: "budget",
			price: 11 + 3,
		});
		const dear = await startedThere({ maxPrice: 20, mostPromptTokens: 20 });
		expect((await events(dear)).at(-2)?.data).toMatchObject({
			status: "failed",
			price: 0,
			error: { code: "max_price_too_low", field: "max_price" },
		});
		expect(fake.predictions).toHaveLength(1);
	});

	it("fails, free, where more tokens are counted than its text can have", async () => {
		replicate({ tokens: WORDS });
		const job = await startedThere({ mostPromptTokens: 10 });
		expect((await events(job)).at(-2)?.data).toMatchObject({
			status: "failed",
			price: 0,
			error: { code: "backend_failed" },
		});
	});

	it("derives image ids from tenant and weights, and stops at its stop strings", async () => {
		const fake = replicate({ tokens: WORDS, every: 10 });
		const image = {
			upload: "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
			key: "a/b",
			sha256: "0".repeat(64),
			contentType: "image/png",
			bytes: 9,
			width: 9,
			height: 9,
			cacheId: "c".repeat(64),
		};
		const job = await startedThere({
			images: [image],
			sampling: { stop: ["word3"] },
		});
		const seen = await events(job);
		expect(textOf(seen)).toBe(" word0 word1 word2 ");
		const [sent] = JSON.parse(String(fake.predictions[0]?.input.images));
		expect(sent.id).toBe(`${image.cacheId}.${VERSION}`);
		expect(sent.url).toMatch(/^http:\/\/s3\.test\/.*a\/b\?.*Signature=/);
		await eventually(() => expect(fake.statusOf(1)).toBe("canceled"));
	});

	it("starts again if its prediction fails before the first token, and is paid once", async () => {
		const fake = replicate((n) => ({
			tokens: WORDS,
			...(n < 3 && { fails: { after: 0, error: "out of memory" } }),
		}));
		const job = await startedThere();
		const seen = await events(job);
		expect(types(seen)).toEqual([
			"job.queued",
			"job.running",
			"job.retrying",
			"token",
			"usage",
			"job.succeeded",
			"done",
		]);
		expect(textOf(seen)).toBe(WORDS.join(""));
		expect(fake.predictions).toHaveLength(3);
		expect(await money(job.account)).toEqual({
			available: 1_000_000 - (11 + 8),
			held: 0,
		});
		await isAtRest(job);
	});

	it("fails at price 0 if its prediction fails after a token: no other continues it", async () => {
		const fake = replicate({
			tokens: WORDS,
			fails: { after: 3, error: "out of memory" },
		});
		const job = await startedThere();
		const seen = await events(job);
		expect(seen.at(-2)).toMatchObject({
			type: "job.failed",
			data: { price: 0, error: { code: "backend_failed" } },
		});
		expect(textOf(seen)).toBe(WORDS.slice(0, 3).join(""));
		expect(fake.predictions).toHaveLength(1);
		expect(await money(job.account)).toEqual({ available: 1_000_000, held: 0 });
		await isAtRest(job);
	});

	it("fails at once if the model refuses the request, and says why", async () => {
		const error = {
			code: "image_undecodable",
			message: "no",
			field: "images[0]",
		};
		const fake = replicate({
			tokens: WORDS,
			fails: { after: 0, error: JSON.stringify(error) },
		});
		const seen = await events(await startedThere());
		expect(seen.at(-2)?.data).toMatchObject({
			status: "failed",
			error: { code: "image_undecodable", field: "images[0]" },
		});
		expect(fake.predictions).toHaveLength(1);
	});

	it("cancels its prediction when it is canceled", async () => {
		const fake = replicate({ tokens: words(1_000), every: 10 });
		const job = await startedThere();
		await events(job, 0, ({ type }) => type === "token");
		expect(await job.stub().cancel()).toMatchObject({ status: "canceled" });
		await eventually(() => expect(fake.statusOf(1)).toBe("canceled"));
		await isAtRest(job);
	});

	it("resumes its prediction after a crash; nothing is lost, repeated or paid twice", async () => {
		for (const shown of [0, 3]) {
			const fake = replicate({ tokens: WORDS });
			fake.allowed = shown;
			const job = await startedThere();
			if (shown > 0) await events(job, 0, ({ type }) => type === "token");
			await eventually(() =>
				expect(fake.requests.at(-1)).toMatch(/\/v1\/files/),
			);
			await runInDurableObject(job.stub(), (_, state) => {
				state.abort("the process dies");
			}).catch(() => {});
			fake.allowed = Number.POSITIVE_INFINITY;
			await runDurableObjectAlarm(job.stub());
			const seen = await events(job);
			expect(textOf(seen)).toBe(WORDS.join(""));
			expect(seen.at(-2)?.type).toBe("job.succeeded");
			expect(fake.predictions).toHaveLength(1);
			expect(fake.statusOf(1)).toBe("succeeded");
			await isAtRest(job);
		}
	});

	it("resumes its prediction after it lost its slot", async () => {
		const fake = replicate({ tokens: WORDS });
		fake.allowed = 3;
		const job = await startedThere();
		await events(job, 0, ({ type }) => type === "token");
		const name = `${job.account.id}/${job.id}`;
		await pool().leave(name);
		await runDurableObjectAlarm(job.stub());
		fake.allowed = Number.POSITIVE_INFINITY;
		expect(textOf(await events(job))).toBe(WORDS.join(""));
		expect(fake.predictions).toHaveLength(1);
	});

	it("waits while Replicate does not know the model; runs no more jobs than slots", async () => {
		const fake = replicate({ tokens: WORDS, every: 10 });
		fake.refusals.push({ to: "describe", status: 404, times: 1 });
		const jobs = [await startedThere()];
		await events(
			jobs[0] as TestJob,
			0,
			({ type }) => type === "job.provisioning",
		);
		for (let n = 0; n < 4; n++) jobs.push(await startedThere());
		let most = 0;
		const watch = setInterval(() => {
			const running = fake.predictions.filter(
				(_, n) => fake.statusOf(n + 1) === "processing",
			).length;
			most = Math.max(most, running);
		}, 5);
		for (const job of jobs)
			expect(textOf(await events(job))).toBe(WORDS.join(""));
		clearInterval(watch);
		expect(most).toBe(2);
	});
});
