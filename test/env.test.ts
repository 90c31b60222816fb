import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { config } from "../src/env.ts";
import { MODEL_IDS, MODELS } from "../src/models.ts";
import { bindings } from "./support/account.ts";

const withValues = (values: Record<string, unknown>) =>
	({ ...bindings, ...values }) as unknown as Env;

/** A deployment that serves nano alone, configured the short way. */
const NANO = { WORKERS: undefined, WORKER_URL: "http://gpu.test" };

const errorOf = (values: Record<string, unknown>): string => {
	try {
		config(withValues(values));
	} catch (error) {
		return String(error);
	}
	throw new Error("it was accepted");
};

describe("the configuration", () => {
	it("allows no private host by default", () => {
		expect(config(bindings).EGRESS_ALLOW).toEqual([]);
	});

	it("refuses EGRESS_ALLOW in production", () => {
		const allow = { EGRESS_ALLOW: "127.0.0.1:9000" };
		const development = withValues({ ...allow, ENVIRONMENT: "development" });
		expect(config(development).EGRESS_ALLOW).toEqual(["127.0.0.1:9000"]);
		for (const ENVIRONMENT of ["production", undefined])
			expect(() => config(withValues({ ...allow, ENVIRONMENT }))).toThrow(
				/EGRESS_ALLOW: is for development only/,
			);
	});

	it.each([
		["KEY_SECRETS", "tooshort"],
		["ADMIN_SECRET", "tooshort"],
		["WORKER_URL", "not-a-url"],
		["S3_ENDPOINT", undefined],
		["JOB_PRICE", "free"],
		["WORKERS", '{"nano": {"url": "http://a.test", "key": hidden}}'],
		["PRICES", "cheap"],
	])("names a wrong %s and keeps its value to itself", (name, value) => {
		const message = errorOf({ [name]: value });
		expect(message).toContain(name);
		if (value) expect(message).not.toContain(value);
		expect(message).not.toContain("hidden");
	});
});

describe("the workers' configuration", () => {
	const served = (values: Record<string, unknown>) =>
		Array.from(config(withValues(values)).models.values(), (model) => ({
			id: model.id,
			price: model.price,
			...model.workers[0],
		}));

	it("is one URL for a deployment that serves nano alone", () => {
		expect(served({ ...NANO, JOB_PRICE: "700" })).toEqual([
			{
				id: "nano",
				price: 700,
				url: "http://gpu.test",
				key: "worker-key",
				access: null,
			},
		]);
	});

	it("names each model's worker, with shared values for what is left out", () => {
		const WORKERS = {
			"vicuna-13b": { url: "https://b.test", price: 9 },
			"vicuna-7b": {
				url: "https://a.test",
				key: "its-key",
				access: { id: "its-id", secret: "its-secret" },
			},
		};
		const values = { WORKER_ACCESS_ID: "id", WORKER_ACCESS_SECRET: "secret" };
		const expected = [
			{
				id: "vicuna-7b",
				price: 5000,
				url: "https://a.test",
				key: "its-key",
				access: { id: "its-id", secret: "its-secret" },
			},
			{
				id: "vicuna-13b",
				price: 9,
				url: "https://b.test",
				key: "worker-key",
				access: { id: "id", secret: "secret" },
			},
		];
		expect(served({ ...values, WORKERS: JSON.stringify(WORKERS) })).toEqual(
			expected,
		);
		// A platform with JSON variables passes the parsed object.
		expect(served({ ...values, WORKERS })).toEqual(expected);
	});

	it("names several replicas of a model, which share all but the URL", () => {
		const url = ["https://a.test", "https://b.test"];
		const WORKERS = { nano: { url, key: "its-key" } };
		expect(config(withValues({ WORKERS })).models.get("nano")?.workers).toEqual(
			url.map((url) => ({ url, key: "its-key", access: null })),
		);
	});

	it("prices a model by itself, by its class, or by default", () => {
		const amount = fc.option(fc.nat({ max: 1_000_000 }), { nil: undefined });
		fc.assert(
			fc.property(
				fc.uniqueArray(fc.constantFrom(...MODEL_IDS), { minLength: 1 }),
				fc.record({ small: amount, medium: amount, large: amount }),
				fc.array(amount, { minLength: 4, maxLength: 4 }),
				(ids, PRICES, own) => {
					const WORKERS = Object.fromEntries(
						ids.map((id, n) => [id, { url: "http://a.test", price: own[n] }]),
					);
					const values = {
						WORKERS: JSON.stringify(WORKERS),
						PRICES: JSON.stringify(PRICES),
					};
					const priced = served(values);
					expect(priced.map(({ id }) => id)).toEqual(
						MODEL_IDS.filter((id) => ids.includes(id)),
					);
					for (const { id, price } of priced) {
						const by = MODELS[id as keyof typeof MODELS].priceClass;
						const usual = { small: 1_000, medium: 5_000, large: 10_000 }[by];
						expect(price).toBe(WORKERS[id]?.price ?? PRICES[by] ?? usual);
					}
				},
			),
			{ numRuns: 200 },
		);
	});

	it("names a deployment or a version on Replicate, with its own token", () => {
		const version = "5c7d".repeat(16);
		const WORKERS = {
			"vicuna-7b": { replicate: { run: "acme/vicuna", token: "r8_a" } },
			"llama2-7b": {
				replicate: {
					run: `acme/llama:${version}`,
					token: "r8_b",
					slots: 9,
					webhook: { url: "https://api.test", secret: "whsec_c" },
				},
				price: 7,
			},
		};
		const api = "https://api.replicate.com/v1";
		expect(served({ WORKERS, WORKER_KEY: undefined })).toEqual([
			{
				id: "vicuna-7b",
				price: 5000,
				url: `${api}/deployments/acme/vicuna`,
				replicate: {
					model: "vicuna-7b",
					run: "acme/vicuna",
					token: "r8_a",
					slots: 4,
					api,
					webhook: null,
				},
			},
			{
				id: "llama2-7b",
				price: 7,
				url: `${api}/models/acme/llama/versions/${version}`,
				replicate: {
					model: "llama2-7b",
					run: `acme/llama:${version}`,
					token: "r8_b",
					slots: 9,
					api,
					webhook: { url: "https://api.test", secret: "whsec_c" },
				},
			},
		]);
	});

	const WORKER = { url: "http://a.test", key: "k-e-y" };
	const ON_REPLICATE = { run: "acme/nano", token: "k-e-y" };
	it.each([
		["both forms at once", { WORKER_URL: "http://b.test" }, "WORKER_URL"],
		[
			"two prices of one class",
			{ JOB_PRICE: "1", PRICES: '{"small": 2}' },
			"JOB_PRICE",
		],
		["no model at all", { WORKERS: "{}" }, "WORKERS"],
		["no worker at all", { WORKERS: undefined }, "WORKERS"],
		[
			"a model that there is not",
			{ WORKERS: { "k-e-y": WORKER } },
			"WORKERS: may have mini, nano, vicuna-7b, llama2-7b, vicuna-13b",
		],
		[
			"a member that there is not",
			{ WORKERS: { nano: { ...WORKER, "k-e-y": 1 } } },
			"WORKERS.nano: may have url, key, access, replicate, price",
		],
		[
			"neither a worker nor Replicate",
			{ WORKERS: { nano: { key: "k-e-y" } } },
			"WORKERS.nano: needs either url",
		],
		[
			"a worker and Replicate for one model: an answer begun there could not go on elsewhere",
			{ WORKERS: { nano: { ...WORKER, replicate: ON_REPLICATE } } },
			"WORKERS.nano: needs either url",
		],
		[
			"a name that is none of Replicate's",
			{ WORKERS: { nano: { replicate: { ...ON_REPLICATE, run: "k-e-y" } } } },
			"WORKERS.nano.replicate.run: must be owner/deployment or owner/model:version",
		],
		[
			"half of a webhook",
			{
				WORKERS: {
					nano: {
						replicate: { ...ON_REPLICATE, webhook: { secret: "k-e-y" } },
					},
				},
			},
			"WORKERS.nano.replicate.webhook.url",
		],
		[
			"a wrong URL",
			{ WORKERS: { nano: { ...WORKER, url: "file:///k-e-y" } } },
			"WORKERS.nano.url",
		],
		[
			"no replica",
			{ WORKERS: { nano: { ...WORKER, url: [] } } },
			"WORKERS.nano.url",
		],
		[
			"a replica named twice",
			{ WORKERS: { nano: { ...WORKER, url: [WORKER.url, WORKER.url] } } },
			"WORKERS.nano.url: names a replica twice",
		],
		[
			"half of a service token",
			{ WORKERS: { nano: { ...WORKER, access: { id: "k-e-y" } } } },
			"WORKERS.nano.access.secret",
		],
		[
			"a price that is no whole number",
			{ WORKERS: { nano: { ...WORKER, price: 0.5 } } },
			"WORKERS.nano.price",
		],
		[
			"a worker without a key",
			{ WORKERS: { nano: { url: "http://a.test" } }, WORKER_KEY: undefined },
			"WORKER_KEY: is unset, and nano has no key in WORKERS",
		],
		["a class that there is not", { PRICES: '{"k-e-y": 1}' }, "PRICES"],
	])("is refused with %s", (_, values, words) => {
		const message = errorOf(values);
		expect(message).toContain(words);
		expect(message).not.toContain("k-e-y");
	});
});
