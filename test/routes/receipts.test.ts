import canonicalize from "canonicalize";
import { createLocalJWKSet, jwtVerify } from "jose";
import { beforeEach, describe, expect, it } from "vitest";
import { sha256 } from "../../src/crypto.ts";
import { newAccount, type TestAccount } from "../support/account.ts";
import {
	call,
	create,
	ended,
	PNG,
	priceOf,
	refusal,
	type Wire,
} from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import type { FakeWorker } from "../support/fake-worker.ts";
import { fakeWorker, words } from "../support/jobs.ts";

const KEYS = "http://edge.test/.well-known/jwks.json";

let worker: FakeWorker;
let account: TestAccount;

beforeEach(async () => {
	worker = fakeWorker({ tokens: words(3) });
	account = await newAccount(1_000_000);
});

const done = async (more: object = {}): Promise<Wire> => {
	const { id } = await (await create(account, more)).json<Wire>();
	return ended(account, id);
};
const receiptOf = async ({ id }: { id: string }): Promise<Wire> =>
	(await call(account, `/${id}/receipt`)).json();

describe("a job's receipt", () => {
	it("says what was asked, what answered and what it cost, as a JWT", async () => {
		const job = await done({ seed: 7 });
		const { receipt, claims, request, ...rest } = await receiptOf(job);
		expect(rest).toEqual({ object: "receipt", job: job.id });
		const keys = createLocalJWKSet(await (await edge.fetch(KEYS)).json());
		const { payload, protectedHeader } = await jwtVerify(receipt, keys, {
			issuer: "http://edge.test",
			algorithms: ["EdDSA"],
		});
		expect(payload).toEqual(claims);
		expect(protectedHeader.typ).toBe("JWT");
		expect(claims).toEqual({
			iss: "http://edge.test",
			sub: account.id,
			jti: job.id,
			iat: Math.floor(Date.parse(job.finished_at) / 1000),
			status: "succeeded",
			model: "nano",
			model_digests: [worker.digest],
			request_sha256: await sha256(request),
			image_sha256: [expect.stringMatching(/^[0-9a-f]{64}$/)],
			description_sha256: null,
			output_sha256: await sha256(job.output.text),
			finish_reason: "stop",
			usage: job.usage,
			attempts: 1,
			price: priceOf(3),
			price_parts: job.price_parts,
			price_version: job.price_version,
			created_at: job.created_at,
			finished_at: job.finished_at,
		});
		const asked = JSON.parse(request);
		expect(request).toBe(canonicalize(asked));
		expect(asked).toMatchObject({
			model: "nano",
			follow_up: null,
			images: claims.image_sha256,
			messages: [
				{
					role: "user",
					content: [{ type: "image" }, { type: "text", text: "What is this?" }],
				},
			],
			sampling: { seed: 7, temperature: 0, max_tokens: 300 },
		});
	});

	it("is the same to the byte whenever it is asked for", async () => {
		const job = await done();
		expect(await receiptOf(job)).toEqual(await receiptOf(job));
	});

	it("names the image as it is stored: the hash of its file", async () => {
		const job = await done();
		const { claims } = await receiptOf(job);
		const path = `http://edge.test/v1/files/${job.images[0].upload}/content`;
		const stored = await edge.fetch(path, {
			headers: { Authorization: `Bearer ${account.key}` },
		});
		expect(claims.image_sha256).toEqual([
			await sha256(new Uint8Array(await stored.arrayBuffer())),
		]);
	});

	it("differs in its request where anything was asked differently", async () => {
		const asked = [
			{},
			{ prompt: "What is that?" },
			{ seed: 1 },
			{ max_tokens: 299 },
			{ stop: "x" },
			{ images: [{ url: PNG }, { url: PNG }] },
		];
		const hashes = new Set<string>();
		for (const more of asked)
			hashes.add(
				(await receiptOf(await done({ seed: 0, ...more }))).claims
					.request_sha256,
			);
		expect(hashes.size).toBe(asked.length);
	});

	it("exists from the job's end until the job is deleted, for its account alone", async () => {
		const { id } = await done();
		const other = await newAccount();
		expect(await refusal(await call(other, `/${id}/receipt`))).toEqual([
			404,
			"job_not_found",
		]);
		expect((await call(account, `/${id}`, { method: "DELETE" })).status).toBe(
			204,
		);
		expect(await refusal(await call(account, `/${id}/receipt`))).toEqual([
			410,
			"job_gone",
		]);
		const never = new Promise<void>(() => {});
		fakeWorker({ tokens: words(3), gate: () => never });
		const running = await (await create(account)).json<Wire>();
		expect(
			await refusal(await call(account, `/${running.id}/receipt`)),
		).toEqual([409, "job_not_finished"]);
		await call(account, `/${running.id}/cancel`, { method: "POST" });
		await ended(account, running.id);
		expect((await receiptOf(running)).claims.status).toBe("canceled");
	});
});

describe("the keys of receipts", () => {
	it("are public, for any page, and hold no private part", async () => {
		const response = await edge.fetch(KEYS);
		expect(response.headers.get("Access-Control-Allow-Origin")).toBe("*");
		const { keys } = await response.json<{ keys: object[] }>();
		expect(keys.map((key) => Object.keys(key).sort())).toEqual([
			["alg", "crv", "kid", "kty", "use", "x"],
		]);
	});
});
