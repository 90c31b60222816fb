/** Calls that say that they repeat one, as OpenAI's clients do by themselves. */
import { describe, expect, it, vi } from "vitest";
import { Account } from "../../src/account/account.ts";
import { issueKey } from "../../src/api-key.ts";
import { config } from "../../src/env.ts";

import { unwrap } from "../../src/errors.ts";
import {
	bindings,
	moveClock,
	newAccount,
	type TestAccount,
} from "../support/account.ts";
import { call, PNG, type Wire } from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { eventually } from "../support/eventually.ts";
import { bucket, fakeWorker, gate, money, words } from "../support/jobs.ts";

const CREDIT = 50_000;
const CHAT = "/chat/completions";
const ASK = {
	model: "nano",
	messages: [{ role: "user", content: "What is this?" }],
};
const SEE = {
	model: "nano",
	messages: [
		{
			role: "user",
			content: [
				{ type: "text", text: "What is this?" },
				{ type: "image_url", image_url: { url: PNG } },
			],
		},
	],
};

const post = (
	{ key }: { key: string },
	path: string,
	body: object,
	count: number | string | null,
	headers: Record<string, string> = {},
): Promise<Response> =>
	edge.fetch(`http://edge.test/v1${path}`, {
		method: "POST",
		headers: {
			"Content-Type": "application/json",
			Authorization: `Bearer ${key}`,
			...(count !== null && { "X-Stainless-Retry-Count": String(count) }),
			...headers,
		},
		body: JSON.stringify(body),
	});

const idOf = (response: Response): string =>
	response.headers.get("X-Job-Id") ??
	(response.headers.get("Location")?.split("/").at(-1) as string);

const jobsOf = async (account: TestAccount): Promise<Wire[]> =>
	(await (await call(account, "")).json<Wire>()).data;

const settled = (account: TestAccount) =>
	eventually(async () => expect((await money(account)).held).toBe(0));

describe("a call that says that it repeats one, and is equal to the byte", () => {
	it.each([
		[CHAT, ASK, 0],
		[CHAT, ASK, null],
		[CHAT, SEE, 0],
		[CHAT, { ...ASK, stream: true }, 0],
		["/jobs", { prompt: "What is this?" }, 0],
		["/jobs", { prompt: "What is this?", images: [{ url: PNG }] }, null],
	])(
		"has that one's job, and is paid once (%s %o after %s)",
		async (path, body, count) => {
			const worker = fakeWorker({ tokens: words(3) });
			const account = await newAccount(CREDIT);
			const first = await post(account, path, body, count);
			await first.text();
			const objects = bucket.size;
			for (const again of [1, 2]) {
				const repeat = await post(account, path, body, again);
				expect(repeat.status).toBe(200);
				expect(repeat.headers.get("Idempotent-Replayed")).toBe("true");
				expect(idOf(repeat)).toBe(idOf(first));
				await repeat.text();
			}
			await settled(account);
			const [job, ...others] = await jobsOf(account);
			expect(others).toEqual([]);
			expect(job.price).toBeGreaterThan(0);
			expect((await money(account)).available).toBe(CREDIT - job.price);
			expect(worker.requests).toHaveLength(1);
			expect(bucket.size).toBe(objects);
		},
	);

	it("has it while it runs, and its answer is the same", async () => {
		const hold = gate();
		fakeWorker({ tokens: words(3), gate: () => hold.opened });
		const account = await newAccount(CREDIT);
		const both = [0, 1].map(async (count) => {
			if (count > 0)
				await eventually(async () =>
					expect(await jobsOf(account)).toHaveLength(1),
				);
			return (await post(account, CHAT, ASK, count)).json<Wire>();
		});
		setTimeout(hold.open, 1_500);
		const [first, repeat] = await Promise.all(both);
		expect(repeat).toEqual(first);
		expect(repeat.choices[0].message.content).toBe(words(3).join(""));
	});

	it("has another job than the other repeat, where two equal calls are repeated", async () => {
		const hold = gate();
		fakeWorker({ tokens: words(3), gate: () => hold.opened });
		const account = await newAccount(CREDIT);
		const two = (count: number) =>
			Promise.all(
				[1, 2].map(() => post(account, "/jobs", { prompt: "x" }, count)),
			);
		const firsts = (await two(0)).map(idOf).sort();
		for (const count of [1, 2])
			expect((await two(count)).map(idOf).sort()).toEqual(firsts);
		hold.open();
		await settled(account);
		expect(await jobsOf(account)).toHaveLength(2);
	});

	it("has a failure with its own status", async () => {
		fakeWorker({ tokens: [], faults: { 1: { error: "invalid_request" } } });
		const account = await newAccount(CREDIT);
		for (const count of [0, 1]) {
			const failed = await post(account, CHAT, ASK, count);
			expect(failed.status).toBe(400);
			await failed.text();
		}
		expect(await jobsOf(account)).toHaveLength(1);
	});

	it.each(["settled", "settling"])(
		"has a job of its own where that one was canceled (%s)",
		async (how) => {
			const hold = gate();
			fakeWorker({
				tokens: words(5),
				gate: (n) => (n === 2 ? hold.opened : undefined),
			});
			const account = await newAccount(CREDIT);
			const first = await post(account, "/jobs", { prompt: "x" }, 0);
			const settle =
				how === "settling"
					? vi.spyOn(Account.prototype, "settle").mockResolvedValue(null)
					: null;
			await call(account, `/${idOf(first)}/cancel`, { method: "POST" });
			const repeat = await post(account, "/jobs", { prompt: "x" }, 1);
			settle?.mockRestore();
			expect(repeat.status).toBe(202);
			expect(idOf(repeat)).not.toBe(idOf(first));
			// The next one finds the latest.
			const next = await post(account, "/jobs", { prompt: "x" }, 2);
			expect(idOf(next)).toBe(idOf(repeat));
			hold.open();
		},
	);

	it("has a job of its own after ten minutes, and where that one was deleted", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const first = await post(account, CHAT, ASK, 0);
		await moveClock(account.stub, 9.9 * 60_000);
		expect(idOf(await post(account, CHAT, ASK, 1))).toBe(idOf(first));
		await moveClock(account.stub, 10.1 * 60_000);
		const second = await post(account, CHAT, ASK, 1);
		expect(idOf(second)).not.toBe(idOf(first));
		await moveClock(account.stub, 0);
		await second.text();
		await settled(account);
		await call(account, `/${idOf(second)}`, { method: "DELETE" });
		await call(account, `/${idOf(first)}`, { method: "DELETE" });
		const third = await post(account, CHAT, ASK, 1);
		expect(third.headers.get("Idempotent-Replayed")).toBe(null);
		expect(await jobsOf(account)).toHaveLength(1);
	});
});

describe("a call is a job of its own", () => {
	it("where it does not say that it repeats one, however equal it is", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const counts = [null, 0, null, "1.5", "1e1", "0x1", "+1", "-1", "1, 0"];
		for (const count of counts)
			expect((await post(account, CHAT, ASK, count)).status).toBe(200);
		expect(await jobsOf(account)).toHaveLength(counts.length);
	});

	it.each(["1.5", "1e1", "0x1", "+1", "-1", "1 1", "00", "Infinity"])(
		"where its count of retries is no whole number above 0 (%s)",
		async (count) => {
			fakeWorker({ tokens: words(3) });
			const account = await newAccount(CREDIT);
			const header = { "X-Stainless-Retry-Count": count };
			for (const headers of [{}, header])
				expect((await post(account, CHAT, ASK, null, headers)).status).toBe(
					200,
				);
			expect(await jobsOf(account)).toHaveLength(2);
		},
	);

	it("where another body, route or key called, or the job has a name", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(CREDIT);
		const [signer] = config(bindings).KEY_SECRETS as [string];
		const { key, secretHash } = await issueKey(signer, account.id);
		unwrap(await account.stub.createKey({ name: "other", secretHash }));
		const name = { "Idempotency-Key": "one" };
		const ids = [
			await post(account, CHAT, ASK, 0),
			await post(account, CHAT, { ...ASK, seed: 1 }, 1),
			await post(account, CHAT, { ...ASK, model: "nano", temperature: 1 }, 1),
			await post(account, "/jobs", ASK, 1),
			await post({ key }, CHAT, ASK, 1),
			await post(account, CHAT, ASK, 1, name),
		].map(idOf);
		expect(new Set(ids).size).toBe(6);
		expect(idOf(await post(account, CHAT, ASK, 2, name))).toBe(ids[5]);
		// A job with a name is nobody else's.
		expect(idOf(await post(account, CHAT, ASK, 1))).toBe(ids[0]);
	});
});
