import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	CATALOG,
	count,
	type Measurement,
	merge,
	type Name,
	type Sums,
} from "../../src/metrics/catalog.ts";
import { exposition } from "../../src/metrics/exposition.ts";
import { parse } from "../support/prometheus.ts";

const NAMES = Object.keys(CATALOG) as Name[];
const value = fc.double({ min: 0, max: 10_000, noNaN: true });
const measurement: fc.Arbitrary<Measurement> = fc
	.constantFrom(...NAMES)
	.chain((name) =>
		fc.record({
			name: fc.constant(name),
			labels: fc.record(
				Object.fromEntries(
					CATALOG[name].labels.map((label) => [
						label,
						fc.constantFrom("a", 'b"', "c\\", "d\n", "é{},="),
					]),
				),
			),
			value: CATALOG[name].type === "counter" ? fc.constant(1) : value,
		}),
	) as fc.Arbitrary<Measurement>;

const summed = (measured: Measurement[]): Sums => {
	const sums: Sums = {};
	count(sums, measured);
	return sums;
};

/** Sums of fractions depend on their order in the last digits. */
const rounded = (sums: Sums) =>
	Object.fromEntries(
		Object.entries(sums)
			.sort()
			.map(([key, values]) => [key, values.map((v) => Math.round(v * 1e6))]),
	);

describe("what was measured", () => {
	it("counts the same however it was split among isolates", () => {
		fc.assert(
			fc.property(fc.array(fc.array(measurement)), (parts) => {
				const sums: Sums = {};
				for (const part of parts) merge(sums, summed(part));
				expect(rounded(sums)).toEqual(rounded(summed(parts.flat())));
			}),
		);
	});

	it("is told as Prometheus reads it: each count, bucket and sum, whatever a label says", () => {
		fc.assert(
			fc.property(fc.array(measurement), (measured) => {
				const families = parse(exposition(summed(measured), []));
				for (const name of NAMES) {
					const { samples, type, help } = families.get(
						`minigpt4_edge_${name}`,
					) ?? { samples: [], type: "", help: "" };
					expect([type, help]).toEqual([
						CATALOG[name].type,
						CATALOG[name].help,
					]);
					for (const { name: sample, labels, value } of samples) {
						const { le, ...others } = labels;
						const like = measured.filter(
							(m) =>
								m.name === name &&
								JSON.stringify(Object.entries(m.labels).sort()) ===
									JSON.stringify(Object.entries(others).sort()),
						);
						const sum = like.reduce((n, m) => n + m.value, 0);
						const under = like.filter(
							(m) => le === undefined || le === "+Inf" || m.value <= Number(le),
						);
						if (sample.endsWith("_sum") || type === "counter")
							expect(value).toBeCloseTo(sum, 6);
						else expect(value).toBe(under.length);
					}
				}
			}),
		);
	});

	it("under names and buckets of another version is left out, or begins anew", () => {
		const sums: Sums = {
			'["no_such_total","x"]': [3],
			'["jobs_total","nano"]': [3],
			'["queue_seconds","nano"]': [1, 2, 3],
		};
		expect(
			parse(exposition(sums, [])).get("minigpt4_edge_jobs_total")?.samples,
		).toEqual([]);
		count(sums, [
			{ name: "queue_seconds", labels: { model: "nano" }, value: 1 },
		]);
		const { samples = [] } =
			parse(exposition(sums, [])).get("minigpt4_edge_queue_seconds") ?? {};
		expect(samples.at(-1)).toMatchObject({ value: 1 });
	});
});

describe("the reader of Prometheus' format in these tests", () => {
	const good = '# HELP a_total A.\n# TYPE a_total counter\na_total{x="1"} 1\n';
	it.each([
		["without an end", good.trimEnd()],
		["with a sample before its type", 'a_total{x="1"} 1\n'],
		["with a family twice", good + good],
		["with a series twice", `${good}a_total{x="1"} 2\n`],
		["with an unknown type", good.replace("counter", "summary")],
		["with an open label", good.replace('"1"', '"1')],
		["with a word for a number", good.replace(" 1\n", " one\n")],
		["with a counter that is not called one", good.replaceAll("a_total", "a")],
		[
			"with a histogram that falls",
			"# HELP h H.\n# TYPE h histogram\n" +
				'h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum{} 1\nh_count{} 1\n',
		],
		[
			"with a histogram without a sum",
			'# HELP h H.\n# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_count{} 1\n',
		],
	])("refuses text %s", (_, text) => {
		expect(parse(good).get("a_total")?.samples).toHaveLength(1);
		expect(() => parse(text)).toThrow();
	});
});
