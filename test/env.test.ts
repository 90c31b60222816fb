import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { config } from "../src/env.ts";
import { MODEL_IDS } from "../src/models.ts";
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
			...model.workers[0],
		}));

	it("is one URL for a deployment that serves nano alone", () => {
		expect(served(NANO)).toEqual([
			{
				id: "nano",
				url: "http://gpu.test",
				key: "worker-key",
				access: null,
			},
		]);
	});

	it("names each model's worker, with shared values for what is left out", () => {
		const WORKERS = {
			"vicuna-13b": { url: "https://b.test" },
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
				url: "https://a.test",
				key: "its-key",
				access: { id: "its-id", secret: "its-secret" },
			},
			{
				id: "vicuna-13b",
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
			},
		};
		const api = "https://api.replicate.com/v1";
		expect(served({ WORKERS, WORKER_KEY: undefined })).toEqual([
			{
				id: "vicuna-7b",
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
			"WORKERS.nano: may have url, key, access, replicate",
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
			"a worker without a key",
			{ WORKERS: { nano: { url: "http://a.test" } }, WORKER_KEY: undefined },
			"WORKER_KEY: is unset, and nano has no key in WORKERS",
		],
	])("is refused with %s", (_, values, words) => {
		const message = errorOf(values);
		expect(message).toContain(words);
		expect(message).not.toContain("k-e-y");
	});
});

describe("the price table", () => {
	const SERVED = {
		WORKERS: Object.fromEntries(
			MODEL_IDS.map((id) => [id, { url: "http://a.test" }]),
		),
	};
	const pricesOf = (PRICES: unknown) =>
		Array.from(
			config(withValues({ ...SERVED, PRICES })).models.values(),
			({ id, prices }) => ({ id, ...prices }),
		);
	const RATES = { prompt_tokens: 1, output_tokens: 2, images: 3 };

	it("has micro-USD per million tokens and 1,000 images for every model of the family", () => {
		const of = (
			prompt_tokens: number,
			output_tokens: number,
			images: number,
		) => ({
			version: "2026-12",
			rates: { prompt_tokens, output_tokens, images },
		});
		const of7B = of(200_000, 800_000, 500_000);
		expect(pricesOf(undefined)).toEqual([
			{ id: "mini", ...of(100_000, 400_000, 200_000) },
			{ id: "nano", ...of(50_000, 200_000, 100_000) },
			{ id: "vicuna-7b", ...of7B },
			{ id: "llama2-7b", ...of7B },
			{ id: "vicuna-13b", ...of(350_000, 1_400_000, 700_000) },
		]);
	});

	it("is overridden model by model, under a version of the deployment's own", () => {
		const rate = fc.nat({ max: 100_000_000_000 });
		const rates = fc.record({
			prompt_tokens: rate,
			output_tokens: rate,
			images: rate,
		});
		const usual = pricesOf(undefined);
		fc.assert(
			fc.property(
				fc.uniqueArray(fc.constantFrom(...MODEL_IDS)),
				fc.array(rates, { minLength: 5, maxLength: 5 }),
				(ids, own) => {
					const models = Object.fromEntries(ids.map((id, n) => [id, own[n]]));
					const PRICES = { version: "acme-1", models };
					const expected = usual.map(({ id, rates }) => ({
						id,
						version: "acme-1",
						rates: models[id] ?? rates,
					}));
					expect(pricesOf(JSON.stringify(PRICES))).toEqual(expected);
					// A platform with JSON variables passes the parsed object.
					expect(pricesOf(PRICES)).toEqual(expected);
				},
			),
			{ numRuns: 100 },
		);
	});

	it.each([
		["no version", { models: {} }, "PRICES.version"],
		[
			"the version of this release",
			{ version: "2026-12", models: { nano: RATES } },
			"PRICES.version: is the name of this release's own table; choose another",
		],
		[
			"a version with a space",
			{ version: "a b", models: {} },
			"PRICES.version",
		],
		[
			"a model that there is not",
			{ version: "a", models: { "k-e-y": RATES } },
			"PRICES.models: may have mini, nano, vicuna-7b, llama2-7b, vicuna-13b",
		],
		[
			"a rate that is missing",
			{ version: "a", models: { nano: { prompt_tokens: 1, images: 1 } } },
			"PRICES.models.nano.output_tokens",
		],
		[
			"a rate that is no whole number",
			{ version: "a", models: { nano: { ...RATES, images: 0.5 } } },
			"PRICES.models.nano.images",
		],
		[
			"a rate below 0",
			{ version: "a", models: { nano: { ...RATES, images: -1 } } },
			"PRICES.models.nano.images",
		],
		[
			"a rate that no job could pay exactly",
			{ version: "a", models: { nano: { ...RATES, output_tokens: 1e12 } } },
			"PRICES.models.nano.output_tokens",
		],
		[
			"an item that there is not",
			{ version: "a", models: { nano: { ...RATES, "k-e-y": 1 } } },
			"PRICES.models.nano: may have prompt_tokens, output_tokens, images",
		],
		["the prices of jobs", { small: 5 }, "PRICES"],
	])("is refused with %s", (_, PRICES, words) => {
		const message = errorOf({ ...SERVED, PRICES: JSON.stringify(PRICES) });
		expect(message).toContain(words);
		expect(message).not.toContain("k-e-y");
	});
});
