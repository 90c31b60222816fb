/** Reads Prometheus' text format 0.0.4, more strictly than Prometheus does. */

export interface Family {
	type: string;
	help: string;
	samples: { name: string; labels: Record<string, string>; value: number }[];
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const HEAD = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`);
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`);
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/;

/** @throws Error where the text is not of the format, or says something twice or out of order */
export function parse(text: string): Map<string, Family> {
	if (!text.endsWith("\n")) throw new Error("the last line has no end");
	const families = new Map<string, Family>();
	const seen = new Set<string>();
	let name = "";
	let family: Family = { type: "", help: "", samples: [] };
	for (const line of text.slice(0, -1).split("\n")) {
		const [, kind, of = "", words = ""] = HEAD.exec(line) ?? [];
		if (kind === "HELP") {
			if (families.has(of)) throw new Error(`${of} comes twice`);
			name = of;
			family = { type: "", help: words, samples: [] };
			families.set(name, family);
		} else if (kind === "TYPE") {
			if (of !== name || family.type)
				throw new Error(`TYPE ${of} is misplaced`);
			if (!["counter", "gauge", "histogram"].includes(words))
				throw new Error(`there is no type ${words}`);
			if ((words === "counter") !== name.endsWith("_total"))
				throw new Error(`${name} is a ${words}`);
			family.type = words;
		} else {
			const [, sample = "", inner, number = ""] = SAMPLE.exec(line) ?? [];
			const suffix = sample.slice(name.length);
			const suffixes =
				family.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
			if (
				!family.type ||
				!sample.startsWith(name) ||
				!suffixes.includes(suffix)
			)
				throw new Error(`misplaced: ${line}`);
			const value = number === "+Inf" ? Infinity : Number(number);
			if (Number.isNaN(value)) throw new Error(`no number: ${line}`);
			const labels = labelsOf(inner ?? "");
			const key = JSON.stringify([sample, Object.entries(labels).sort()]);
			if (seen.has(key)) throw new Error(`comes twice: ${line}`);
			seen.add(key);
			family.samples.push({ name: sample, labels, value });
		}
	}
	for (const [name, family] of families)
		if (family.type === "histogram") checkHistogram(name, family);
	return families;
}

function labelsOf(inner: string): Record<string, string> {
	const labels: Record<string, string> = {};
	for (let rest = inner; rest !== ""; ) {
		const [all, label, value] = LABEL.exec(rest) ?? [];
		if (!all || !label || value === undefined || label in labels)
			throw new Error(`no labels: ${inner}`);
		labels[label] = value.replaceAll(/\\(.)/g, (_, c) =>
			c === "n" ? "\n" : c,
		);
		rest = rest.slice(all.length);
		if (rest === "" && all.endsWith(","))
			throw new Error(`no labels: ${inner}`);
	}
	return labels;
}

/** In each series bounds rise up to infinity, counts never fall, and the last is the count. */
function checkHistogram(name: string, { samples }: Family): void {
	const series = new Map<string, { le: number; value: number }[]>();
	const keyOf = (labels: Record<string, string>) => {
		const { le: _, ...others } = labels;
		return JSON.stringify(Object.entries(others).sort());
	};
	for (const { name: sample, labels, value } of samples) {
		if (!sample.endsWith("_bucket")) continue;
		const le = labels.le === "+Inf" ? Infinity : Number(labels.le);
		const buckets = series.get(keyOf(labels)) ?? [];
		const last = buckets.at(-1);
		if (last && (last.le >= le || last.value > value))
			throw new Error(`${name}: buckets fall`);
		series.set(keyOf(labels), [...buckets, { le, value }]);
	}
	const one = (sample: string, key: string) =>
		samples.filter(
			(s) => s.name === `${name}_${sample}` && keyOf(s.labels) === key,
		);
	for (const [key, buckets] of series) {
		const last = buckets.at(-1);
		const [count, ...more] = one("count", key);
		if (last?.le !== Infinity || more.length || count?.value !== last.value)
			throw new Error(`${name}: the count is not that of its buckets`);
		if (one("sum", key).length !== 1) throw new Error(`${name}: no one sum`);
	}
	if (samples.some(({ labels }) => !series.has(keyOf(labels))))
		throw new Error(`${name}: no buckets`);
}
