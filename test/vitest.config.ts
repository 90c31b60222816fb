import { globSync, readFileSync } from "node:fs";
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

const files = globSync(["test/**/*.test.ts", "test/bench/*.test.mjs"], {
	exclude: (name) => name === "test/e2e" || name === "test/chaos",
});
/** Files that call an object each have a workerd to themselves; the others share one. */
const [objects = [], functions = []] = [true, false].map((wanted) =>
	files.filter((file) => callsObjects(file) === wanted),
);

/** Whether a test calls an object, by what it imports. */
function callsObjects(file: string): boolean {
	return /from "(cloudflare:|.*\/support\/(?!properties|prices|images|eventually|tie))/.test(
		readFileSync(file, "utf8"),
	);
}

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
		projects: [
			{ extends: true, test: { name: "objects", include: objects } },
			{
				extends: true,
				test: { name: "functions", include: functions, isolate: false },
			},
		],
		testTimeout: 60_000,
		setupFiles: ["test/support/properties.ts"],
		provide: { propertySeed: Number(process.env.PROPERTY_SEED ?? 1) },
	},
});
