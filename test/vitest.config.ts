import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

/** Each token and each image costs one micro-USD: see test/support/prices.ts. */
const ONE_EACH = {
	prompt_tokens: 1_000_000,
	output_tokens: 1_000_000,
	images: 1_000,
};

const FIVE_EACH = {
	prompt_tokens: 5_000_000,
	output_tokens: 5_000_000,
	images: 5_000,
};

/** Unit tests run inside workerd, with the objects' real storage and alarms. */
export default defineConfig({
	plugins: [
		cloudflareTest({
			wrangler: { configPath: "./wrangler.toml" },
			miniflare: {
				bindings: {
					ENVIRONMENT: "development",
					KEY_SECRETS: "test-key-secret-test-key-secret-00",
					ADMIN_SECRET: "test-admin-secret-test-admin-secret",
					WORKERS: JSON.stringify({
						nano: { url: "http://nano.test" },
						"vicuna-7b": { url: "http://vicuna.test", key: "vicuna-key" },
						"llama2-7b": {
							replicate: {
								run: "acme/llama2-7b",
								token: "r8_test",
								slots: 2,
								api: "http://replicate.test/v1",
								webhook: {
									url: "https://api.test",
									secret: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
								},
							},
						},
					}),
					WORKER_KEY: "worker-key",
					PRICES: JSON.stringify({
						version: "test",
						models: { nano: ONE_EACH, "vicuna-7b": FIVE_EACH },
					}),
					S3_ENDPOINT: "http://s3.test",
					S3_ACCESS_KEY_ID: "access",
					S3_SECRET_ACCESS_KEY: "secret",
				},
			},
		}),
	],
	// As in wrangler.toml, whose aliases do not reach the tests.
	resolve: {
		alias: {
			"@aws-sdk/xml-builder": "@aws-sdk/xml-builder/dist-cjs/index.js",
		},
	},
	test: {
		deps: {
			// Large packages are bundled once, not for each file.
			optimizer: {
				ssr: {
					enabled: true,
					include: [
						"@aws-sdk/client-s3",
						"fast-check",
						"jose",
						"oauth4webapi",
						"stripe",
					],
				},
			},
		},
		include: ["test/**/*.test.ts", "test/bench/*.test.mjs"],
		exclude: ["test/e2e/**", "test/chaos/**"],
		testTimeout: 60_000,
		setupFiles: ["test/support/properties.ts"],
		provide: { propertySeed: Number(process.env.PROPERTY_SEED ?? 1) },
	},
});
