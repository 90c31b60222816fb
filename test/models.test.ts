/// <reference types="vite/types/importMeta.d.ts" />
import { describe, expect, it } from "vitest";
import { MODELS } from "../src/models.ts";

/** The model cards of the projections that lie in this repository, by their paths. */
const cards = import.meta.glob<string>("../gpu-worker/weights/*/README.md", {
	query: "?raw",
	import: "default",
	eager: true,
});

/** The weights and biases of a linear layer. */
const linear = (from: number, to: number) => (from + 1) * to;

/** Stage widths of EfficientNet-Lite2: kernel, expansion, channels, repeats. */
const LITE2 = [
	[3, 1, 16, 1],
	[3, 6, 24, 3],
	[5, 6, 48, 3],
	[3, 6, 88, 4],
	[5, 6, 120, 4],
	[5, 6, 208, 5],
	[3, 6, 352, 1],
] as const;

function efficientNetLite2(): number {
	let sum = 3 * 9 * 32 + 32;
	let from = 32;
	for (const [kernel, expansion, to, repeats] of LITE2)
		for (let n = 0; n < repeats; n++) {
			const middle = from * expansion;
			if (expansion > 1) sum += linear(from, middle);
			sum += (kernel * kernel + 1) * middle + linear(middle, to);
			from = to;
		}
	return sum + linear(from, 1280);
}

function llama(of: {
	width: number;
	inner: number;
	layers: number;
	/** The width of keys and values. */
	narrow: number;
	/** The rows of the embeddings, and of the head if it is not tied to them. */
	rows: number;
}): number {
	const { width, inner, layers, narrow, rows } = of;
	const attention = 2 * width * width + 2 * width * narrow;
	return (
		rows * width + layers * (attention + 3 * width * inner + 2 * width) + width
	);
}

const evaVitG =
	linear(3 * 14 * 14, 1408) +
	(1 + 257) * 1408 +
	39 *
		(4 * 1408 + // norms
			1408 * 3 * 1408 +
			2 * 1408 + // keys have no bias
			linear(1408, 1408) +
			linear(1408, 6144) +
			linear(6144, 1408));

const qFormer =
	(32 + 2) * 768 +
	12 *
		(4 * linear(768, 768) +
			2 * 768 +
			linear(768, 3072) +
			linear(3072, 768) +
			2 * 768) +
	6 * (2 * linear(768, 768) + 2 * linear(1408, 768) + 2 * 768);

const llama7B = llama({
	width: 4096,
	inner: 11_008,
	layers: 32,
	narrow: 4096,
	rows: 64_000,
});
const llama13B = llama({
	width: 5120,
	inner: 13_824,
	layers: 40,
	narrow: 5120,
	rows: 64_000,
});
const smolLM2 = llama({
	width: 576,
	inner: 1536,
	layers: 30,
	narrow: 192,
	rows: 49_152,
});

describe("the parameters in a model's listing", () => {
	it.each([
		[
			"nano",
			efficientNetLite2() +
				linear(1280, 1000) +
				6 * 576 * 1000 +
				linear(64, 2 * 576) +
				smolLM2,
		],
		["vicuna-7b", evaVitG + 2 * 1408 + qFormer + linear(768, 4096) + llama7B],
		["vicuna-13b", evaVitG + 2 * 1408 + qFormer + linear(768, 5120) + llama13B],
		["llama2-7b", evaVitG + linear(4 * 1408, 4096) + llama7B],
	] as const)("are those of its parts: %s", (id, parameters) => {
		expect(MODELS[id].parameters).toBe(parameters);
	});
});

describe("the models", () => {
	it.each(Object.entries(MODELS))(
		"leave room in the context of %s for a question and an answer beside all images",
		(id, model) => {
			expect(model.id).toBe(id);
			expect(model.maxImages * model.imageTokens).toBeLessThan(
				model.contextLength / 4,
			);
		},
	);
});

describe("what a model's listing says of its licences", () => {
	it.each(Object.entries(cards))("is what its card says: %s", (path, card) => {
		const id = path.split("/").at(-2) as keyof typeof MODELS;
		const { license, researchOnly } = MODELS[id];
		const table = card.slice(card.indexOf("## Licences"));
		const rows = [...table.matchAll(/^\| ([^|]+?) \| ([^|]+) \|$/gm)];
		const terms = new Map(rows.map(([, part, licence]) => [part, licence]));
		const restricted = /research and education only/;
		expect(restricted.test(terms.get("this projection") as string)).toBe(
			researchOnly,
		);
		expect(restricted.test(license)).toBe(researchOnly);
		const free = [...terms].filter(([, licence]) => licence === "Apache-2.0");
		expect(free.length).toBe(2); // the vision encoder and the language model
		for (const [part] of free)
			expect(license).toContain(part?.replace(/ \(.*/, ""));
	});

	it.each(Object.values(MODELS))(
		"is one sentence that names licences, and what restricts them: $id",
		({ license, researchOnly }) => {
			expect(license).toMatch(/^[A-Z][^!?]+[a-z0-9]\.$/);
			expect(license).not.toMatch(/\. /);
			expect(license).toMatch(/Apache-2\.0|BSD-3-Clause/);
			expect(/research .*only/.test(license)).toBe(researchOnly);
		},
	);
});
