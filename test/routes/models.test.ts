import { listDurableObjectIds } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { app } from "../../src/app.ts";
import { ModelList } from "../../src/schema/model.ts";
import { bindings } from "../support/account.ts";
import { edge } from "../support/edge.ts";

const get = (path = "", headers: Record<string, string> = {}) =>
	edge.fetch(`http://edge.test/v1/models${path}`, { headers });

/** As another deployment answers. */
const of = (values: object, path = "") =>
	app.request(`http://edge.test/v1/models${path}`, {}, {
		...bindings,
		...values,
	} as unknown as Env);

describe("GET /v1/models", () => {
	it("lists what this deployment serves, the default first, in OpenAI's shape", async () => {
		const response = await get();
		expect(response.status).toBe(200);
		const list = ModelList.parse(await response.json());
		expect(list.data.map(({ id }) => id)).toEqual([
			"nano",
			"vicuna-7b",
			"llama2-7b",
		]);
		expect(list).toMatchObject({ object: "list" });
		expect(list.data[1]).toEqual({
			id: "vicuna-7b",
			object: "model",
			created: Date.UTC(2026, 10, 23) / 1000,
			owned_by: "Vision-CAIR",
			research_only: true,
			license: expect.stringMatching(
				/Vicuna v0 .* non-commercial research only/,
			),
			parameters: 7_832_625_024,
			context_length: 2048,
			image_tokens: 32,
			max_images: 4,
			sampling: { temperature: 1, top_p: 0.9, repetition_penalty: 1.05 },
			prices: {
				version: "test",
				prompt_tokens: { rate: 5_000_000, per: 1_000_000 },
				output_tokens: { rate: 5_000_000, per: 1_000_000 },
				images: { rate: 5_000, per: 1_000 },
			},
			capabilities: ["images", "tasks", "streaming", "resume"],
		});
	});

	it("lists nothing that is not served, and every price as configured", async () => {
		const WORKERS = {
			"vicuna-13b": { url: "http://a.test" },
			"llama2-7b": { url: "http://b.test" },
		};
		const rates = { prompt_tokens: 12_345, output_tokens: 0, images: 7 };
		const PRICES = { version: "own", models: { "vicuna-13b": rates } };
		const list = await (await of({ WORKERS, PRICES })).json();
		expect(list).toMatchObject({
			data: [
				{
					id: "llama2-7b",
					prices: { version: "own", images: { rate: 500_000, per: 1_000 } },
					context_length: 4096,
					image_tokens: 64,
				},
				{
					id: "vicuna-13b",
					prices: {
						version: "own",
						prompt_tokens: { rate: 12_345, per: 1_000_000 },
						output_tokens: { rate: 0, per: 1_000_000 },
						images: { rate: 7, per: 1_000 },
					},
					parameters: 14_110_861_184,
				},
			],
		});
		const gone = await of({ WORKERS, PRICES }, "/nano");
		expect(gone.status).toBe(404);
		expect(await gone.json()).toMatchObject({
			code: "model_not_found",
			known: ["llama2-7b", "vicuna-13b"],
		});
	});

	it("tells where workers are, and what opens them, to nobody", async () => {
		const text = await (await get()).text();
		for (const secret of [
			"vicuna.test",
			"nano.test",
			"worker-key",
			"vicuna-key",
			"replicate",
			"r8_test",
		])
			expect(text).not.toContain(secret);
	});

	it("needs no key, minds no wrong one, and wakes no object", async () => {
		const account = async () =>
			(await listDurableObjectIds(bindings.ACCOUNT)).length;
		const before = await account();
		const [plain, forged] = [
			await get(),
			await get("", { Authorization: "Bearer nonsense" }),
		];
		expect(await forged.text()).toBe(await plain.text());
		expect(await account()).toBe(before);
	});

	it("is kept for a minute, and not sent again while unchanged, to other origins too", async () => {
		const first = await get();
		await first.body?.cancel();
		expect(first.headers.get("Cache-Control")).toBe("public, max-age=60");
		const tag = first.headers.get("ETag") as string;
		const again = await get("", {
			"If-None-Match": tag,
			Origin: "https://elsewhere.example",
		});
		expect(again.status).toBe(304);
		expect(await again.text()).toBe("");
		expect(Object.fromEntries(again.headers)).toMatchObject({
			etag: tag,
			"cache-control": "public, max-age=60",
			"access-control-allow-origin": "*",
			"access-control-expose-headers": expect.stringContaining("ETag"),
			"x-request-id": expect.stringMatching(/^req_/),
		});
		const dearer = await of({ PRICES: { version: "dearer", models: {} } });
		expect(dearer.headers.get("ETag")).not.toBe(tag);
	});
});

describe("GET /v1/models/{id}", () => {
	it("shows a model as the list does", async () => {
		const list = ModelList.parse(await (await get()).json());
		for (const model of list.data)
			expect(await (await get(`/${model.id}`)).json()).toEqual(model);
	});

	it.each(["gpt-5", "vicuna-13b", "constructor", "__proto__", "NANO"])(
		"answers 404 for %s and says which there are; that is not kept",
		async (id) => {
			const response = await get(`/${id}`);
			expect(response.status).toBe(404);
			expect(response.headers.get("Cache-Control")).toBe(null);
			expect(await response.json()).toMatchObject({
				code: "model_not_found",
				model: id,
				known: ["nano", "vicuna-7b", "llama2-7b"],
			});
		},
	);
});

it("the document says that these routes need no key, and what they answer", async () => {
	interface Operation {
		security?: unknown[];
		responses: Record<string, unknown>;
	}
	const { paths } = await (
		await edge.fetch("http://edge.test/openapi.json")
	).json<{ paths: Record<string, { get: Operation }> }>();
	for (const [path, statuses] of [
		["/v1/models", ["200", "304"]],
		["/v1/models/{id}", ["200", "304", "404"]],
	] as const) {
		expect(paths[path]?.get.security).toEqual([]);
		expect(Object.keys(paths[path]?.get.responses ?? {})).toEqual(statuses);
	}
});
