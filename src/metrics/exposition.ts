/** Metrics in Prometheus's text format 0.0.4. */
import { CATALOG, type Name, type Sums, seriesOf } from "./catalog.ts";

export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

const PREFIX = "minigpt4_edge_";

/** A present value. */
export interface Gauge {
	name: string;
	help: string;
	series: { labels: Record<string, string>; value: number }[];
}

export function exposition(sums: Sums, gauges: readonly Gauge[]): string {
	const lines: string[] = [];
	const series = Object.entries(sums).flatMap(([key, values]) => {
		const series = seriesOf(key);
		return series ? [{ ...series, values }] : [];
	});
	for (const name of Object.keys(CATALOG) as Name[]) {
		const metric = CATALOG[name];
		const { type, help } = metric;
		lines.push(...headOf(name, help, type));
		for (const { labels, values } of series.filter((s) => s.name === name))
			lines.push(
				...("buckets" in metric
					? histogram(name, labels, metric.buckets, values)
					: [line(name, labels, values[0] ?? 0)]),
			);
	}
	for (const { name, help, series } of gauges) {
		lines.push(...headOf(name, help, "gauge"));
		for (const { labels, value } of series)
			lines.push(line(name, labels, value));
	}
	return `${lines.join("\n")}\n`;
}

function histogram(
	name: string,
	labels: Record<string, string>,
	buckets: readonly number[],
	values: number[],
): string[] {
	const bounds = [...buckets.map(String), "+Inf"];
	if (values.length !== bounds.length + 1) return [];
	let below = 0;
	return [
		...bounds.map((le, n) => {
			below += values[n] as number;
			return line(`${name}_bucket`, { ...labels, le }, below);
		}),
		line(`${name}_sum`, labels, values.at(-1) as number),
		line(`${name}_count`, labels, below),
	];
}

const headOf = (name: string, help: string, type: string): string[] => [
	`# HELP ${PREFIX}${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`,
	`# TYPE ${PREFIX}${name} ${type}`,
];

function line(
	name: string,
	labels: Record<string, string>,
	value: number,
): string {
	const pairs = Object.entries(labels).map(
		([label, value]) => `${label}="${escaped(value)}"`,
	);
	return `${PREFIX}${name}{${pairs.join(",")}} ${value}`;
}

const escaped = (value: string): string =>
	value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
