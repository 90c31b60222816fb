import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { Account } from "../../src/account/account.ts";
import { unwrap } from "../../src/errors.ts";
import { newJobId } from "../../src/ids.ts";
import {
	admissionOf,
	bindings,
	dump,
	newAccount,
	type TestAccount,
} from "../support/account.ts";
import {
	call,
	create,
	ended,
	JOB_REQUEST,
	refusal,
	type Wire,
} from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { bucket, fakeWorker, gate, words } from "../support/jobs.ts";

const CREDIT = 1_000_000;

/** An account with its own limits, and a clock that only the test moves. */
async function limited(
	limits: Partial<
		Record<
			| "LIMIT_CONCURRENT_JOBS"
			| "LIMIT_REQUESTS_PER_MINUTE"
			| "LIMIT_TOKENS_PER_MINUTE",
			string
		>
	>,
): Promise<TestAccount & { wait: (ms: number) => Promise<void> }> {
	const account = await newAccount(CREDIT);
	let now = Date.now();
	await runInDurableObject(account.stub, (object: Account) => {
		const env = { ...bindings, ...limits };
		Object.defineProperty(object, "env", { value: env });
		object.clock = () => now;
	});
	const wait = async (ms: number) => {
		now += ms;
	};
	return { ...account, wait };
}

const get = (account: TestAccount, path: string) =>
	edge.fetch(`http://edge.test${path}`, {
		headers: { Authorization: `Bearer ${account.key}` },
	});
const quoted = async (account: TestAccount, more: object): Promise<Wire> =>
	(
		await edge.fetch("http://edge.test/v1/quotes", {
			method: "POST",
			headers: {
				Authorization: `Bearer ${account.key}`,
				"Content-Type": "application/json",
			},
			body: JSON.stringify({ ...JOB_REQUEST, ...more }),
		})
	).json();
const headers = (response: Response) => ({
	policy: response.headers.get("RateLimit-Policy"),
	left: response.headers.get("RateLimit"),
	retry: response.headers.get("Retry-After"),
});

describe("requests per minute", () => {
	it("are counted per account over all routes, and refused with Retry-After", async () => {
		fakeWorker({ tokens: words(2) });
		const account = await limited({ LIMIT_REQUESTS_PER_MINUTE: "6" });
		const paths = [
			"/v1/account",
			"/v1/jobs",
			"/v1/jobs/x",
			"/v1/uploads/x",
			"/v1/jobs/x/events",
			"/v1/account",
			"/v1/account",
		];
		const seen: [number, ReturnType<typeof headers>][] = [];
		for (const path of paths) {
			const response = await get(account, path);
			await response.body?.cancel();
			seen.push([response.status, headers(response)]);
		}
		const policy =
			'"requests";q=6;w=60, "tokens";q=500000;w=60;qu="tokens", ' +
			'"jobs";q=200;qu="concurrent-requests"';
		const left = (r: number, t: number) =>
			`"requests";r=${r};t=${t}, "tokens";r=500000;t=0, "jobs";r=200`;
		const none = { policy: null, left: null, retry: null };
		expect(seen).toEqual([
			[200, { policy, left: left(5, 10), retry: null }],
			[200, { policy, left: left(4, 20), retry: null }],
			[404, { policy, left: left(3, 30), retry: null }],
			// An invalid id is refused before the account is asked.
			[404, none],
			[404, { policy, left: left(2, 40), retry: null }],
			[200, { policy, left: left(1, 50), retry: null }],
			[200, { policy, left: left(0, 10), retry: null }],
		]);
		const refused = await get(account, "/v1/account");
		expect(headers(refused)).toEqual({
			policy,
			left: left(0, 10),
			retry: "10",
		});
		expect(refused.headers.get("Content-Type")).toBe(
			"application/problem+json",
		);
		expect([refused.status, await refused.json()]).toEqual([
			429,
			{
				code: "rate_limited",
				limit: 6,
				retry_after: 10,
				type: "urn:minigpt4:error:rate_limited",
				title: "Too many",
				status: 429,
				detail: expect.stringMatching(/6 requests a minute.* 10 s/),
				request_id: expect.any(String),
			},
		]);
		await account.wait(9_999);
		expect((await get(account, "/v1/account")).status).toBe(429);
		await account.wait(1);
		expect((await get(account, "/v1/account")).status).toBe(200);
		expect((await get(account, "/v1/account")).status).toBe(429);
	});

	it("count a job once, and refuse it before anything is stored", async () => {
		const hold = gate();
		fakeWorker({ tokens: words(2), gate: () => hold.opened });
		const account = await limited({ LIMIT_REQUESTS_PER_MINUTE: "3" });
		for (const left of [2, 1, 0]) {
			const response = await create(account);
			expect(response.status).toBe(202);
			expect(headers(response).left).toContain(`"requests";r=${left};`);
		}
		const before = await dump(account.stub);
		const objects = bucket.size;
		for (const response of [
			await create(account),
			await call(account, `/${newJobId(1)}`, {
				method: "PUT",
				body: JOB_REQUEST,
			}),
		])
			expect(await refusal(response)).toEqual([429, "rate_limited"]);
		expect(await dump(account.stub)).toEqual(before);
		expect(bucket.size).toBe(objects);
		hold.open();
	});

	it("count no call without a valid key, and none of another account", async () => {
		const account = await limited({ LIMIT_REQUESTS_PER_MINUTE: "1" });
		const other = await newAccount();
		const { keyId } = unwrap(await other.stub.authenticate(other.credential));
		await other.stub.revokeKey(keyId);
		const revoked = await get(other, "/v1/account");
		expect([revoked.status, headers(revoked)]).toEqual([
			401,
			{ policy: null, left: null, retry: null },
		]);
		expect((await get(account, "/v1/account")).status).toBe(200);
		expect((await get(account, "/v1/account")).status).toBe(429);
		expect((await get(await newAccount(), "/v1/account")).status).toBe(200);
	});
});

describe("tokens per minute", () => {
	const tokensLeft = (response: Response) =>
		Number(response.headers.get("X-RateLimit-Remaining-Tokens"));

	it("are taken at most when a job begins, and given back as it ends", async () => {
		const hold = gate();
		fakeWorker({ tokens: words(2), gate: () => hold.opened });
		const account = await limited({ LIMIT_TOKENS_PER_MINUTE: "5000" });
		const created = await create(account, { max_tokens: 100 });
		const { id } = await created.json<Wire>();
		const { maximum_parts } = await quoted(account, { max_tokens: 100 });
		const quantity = (item: string) =>
			maximum_parts.find((part: Wire) => part.item === item).quantity;
		expect(quantity("output_tokens")).toBe(100);
		expect(tokensLeft(created)).toBe(5000 - 100 - quantity("prompt_tokens"));
		expect(created.headers.get("RateLimit")).toContain(
			`"tokens";r=${tokensLeft(created)};t=`,
		);
		hold.open();
		const { usage } = await ended(account, id);
		expect(tokensLeft(await get(account, "/v1/account"))).toBe(
			5000 - usage.prompt_tokens - usage.output_tokens,
		);
	});

	it("are refused where a job may use more than is left, until just then", async () => {
		const hold = gate();
		fakeWorker({ tokens: words(2), gate: () => hold.opened });
		const account = await limited({ LIMIT_TOKENS_PER_MINUTE: "4200" });
		const first = await create(account, { max_tokens: 1500 });
		const left = tokensLeft(first);
		const most = 4200 - left;
		const before = await dump(account.stub);
		const refused = await create(account, { max_tokens: 1500 });
		const wait = Math.ceil(((most - left) * 60) / 4200);
		expect(headers(refused).retry).toBe(`${wait}`);
		expect(await refused.json()).toMatchObject({
			code: "too_many_tokens",
			status: 429,
			limit: 4200,
			retry_after: wait,
		});
		expect(await dump(account.stub)).toEqual(before);
		// What fits goes on.
		expect((await create(account, { max_tokens: 1 })).status).toBe(202);
		await account.wait((wait + 60) * 1000);
		expect((await create(account, { max_tokens: 1500 })).status).toBe(202);
		hold.open();
	});

	it("let a job that can use more than all of them through, alone", async () => {
		const hold = gate();
		fakeWorker({ tokens: words(2), gate: () => hold.opened });
		const account = await limited({ LIMIT_TOKENS_PER_MINUTE: "50" });
		const large = () => create(account, { max_tokens: 600 });
		const first = await large();
		expect([first.status, tokensLeft(first)]).toEqual([202, 0]);
		expect(await refusal(await large())).toEqual([429, "too_many_tokens"]);
		await account.wait(60_000);
		expect((await large()).status).toBe(202);
		hold.open();
	});

	it("are told as OpenAI's clients read them", async () => {
		const account = await limited({ LIMIT_TOKENS_PER_MINUTE: "1000" });
		const { headers } = await get(account, "/v1/account");
		const told = [...headers].filter(([name]) => /^x-ratelimit-/.test(name));
		expect(Object.fromEntries(told)).toEqual({
			"x-ratelimit-limit-requests": "600",
			"x-ratelimit-remaining-requests": "599",
			"x-ratelimit-reset-requests": "1s",
			"x-ratelimit-limit-tokens": "1000",
			"x-ratelimit-remaining-tokens": "1000",
			"x-ratelimit-reset-tokens": "0s",
		});
	});
});

describe("jobs at once", () => {
	it("are limited, and each job that ends makes room for another", async () => {
		const hold = gate();
		const worker = fakeWorker({ tokens: words(2), gate: () => hold.opened });
		worker.slots = 1;
		const account = await limited({ LIMIT_CONCURRENT_JOBS: "3" });
		const ids: string[] = [];
		for (const left of [2, 1, 0]) {
			const response = await create(account);
			expect(headers(response).left).toContain(`"jobs";r=${left}`);
			ids.push((await response.json<Wire>()).id);
		}
		const before = await dump(account.stub);
		const refused = await create(account);
		expect(headers(refused)).toMatchObject({
			policy: expect.stringContaining('"jobs";q=3;qu="concurrent-requests"'),
			retry: "5",
		});
		expect(await refused.json()).toMatchObject({
			code: "too_many_jobs",
			status: 429,
			limit: 3,
		});
		expect(await dump(account.stub)).toEqual(before);
		hold.open();
		for (const id of ids) await ended(account, id);
		expect((await create(account)).status).toBe(202);
	});

	it("stay within the limit when many are sent at once", async () => {
		const account = await limited({ LIMIT_CONCURRENT_JOBS: "7" });
		const answers = await Promise.all(
			Array.from({ length: 40 }, () =>
				account.stub.admit(admissionOf(account)),
			),
		);
		expect(answers.filter(({ ok }) => ok)).toHaveLength(7);
		const [refused] = answers.filter((each) => !each.ok);
		expect(refused).toMatchObject({
			failure: { code: "too_many_jobs", limit: 7 },
			limits: { jobs: { quota: 7, remaining: 0 } },
		});
	});

	it("are counted from storage, so that a restart forgets none", async () => {
		const account = await newAccount(CREDIT);
		for (let n = 0; n < 3; n++)
			unwrap(await account.stub.admit(admissionOf(account)));
		await evictDurableObject(account.stub);
		const { limits } = await account.stub.showTo(account.credential);
		expect(limits?.jobs).toEqual({ quota: 200, remaining: 197 });
	});

	it("let a repeated request through, which adds no job", async () => {
		const account = await limited({ LIMIT_CONCURRENT_JOBS: "1" });
		const hold = gate();
		fakeWorker({ tokens: words(2), gate: () => hold.opened });
		const id = newJobId(Date.now());
		const put = () =>
			call(account, `/${id}`, { method: "PUT", body: JOB_REQUEST });
		expect((await put()).status).toBe(202);
		expect((await put()).status).toBe(200);
		expect((await create(account)).status).toBe(429);
		hold.open();
		await ended(account, id);
	});
});

it("a page of another origin may send the headers of a job and read its limits", async () => {
	const preflight = await edge.fetch(
		`http://edge.test/v1/jobs/${newJobId(1)}`,
		{
			method: "OPTIONS",
			headers: {
				Origin: "https://elsewhere.example",
				"Access-Control-Request-Method": "PUT",
				"Access-Control-Request-Headers":
					"authorization,cancel-after,idempotency-key,start-within",
			},
		},
	);
	const allowed = (name: string) =>
		preflight.headers.get(name)?.toLowerCase().split(/,\s*/);
	expect(allowed("Access-Control-Allow-Methods")).toContain("put");
	expect(allowed("Access-Control-Allow-Headers")).toEqual(
		expect.arrayContaining(["idempotency-key", "cancel-after", "start-within"]),
	);
	const account = await newAccount();
	const response = await get(account, "/v1/account");
	expect(
		response.headers
			.get("Access-Control-Expose-Headers")
			?.toLowerCase()
			.split(/,\s*/),
	).toEqual(
		expect.arrayContaining([
			"ratelimit",
			"ratelimit-policy",
			"retry-after",
			"idempotent-replayed",
		]),
	);
});
