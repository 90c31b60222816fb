// @ts-check
/** What the account used: a bar for each day, and the sums by model, key or task. */
import { element, make } from "../page.js";
import { usd } from "../usd.js";
import { call } from "./session.js";
import { cell } from "./table.js";

const DAYS = 30;
const DAY_S = 86_400;
const HEIGHT = 180;

const frame = element("usage-chart", HTMLElement);
const by = element("usage-by", HTMLSelectElement);
/** @type {any} */
let chart = null;

/** The names of keys, by their ids. @type {Map<string, string>} */
const names = new Map();

export async function showUsage() {
	const [{ data }, { data: keys }] = await Promise.all([
		call("/v1/usage?by=day"),
		call("/v1/keys"),
	]);
	for (const { id, name } of keys) names.set(id, name);
	draw(data);
	await showSums();
}

/** A colour as a canvas takes it. @param {string} name of the style sheets */
function colour(name) {
	frame.style.color = `var(${name})`;
	return getComputedStyle(frame).color;
}

/** @param {any[]} rows the days with jobs */
function draw(rows) {
	const today = Math.floor(Date.now() / 1000 / DAY_S) * DAY_S;
	const days = Array.from(
		{ length: DAYS },
		(_, n) => today - (DAYS - 1 - n) * DAY_S,
	);
	const spent = new Map(
		rows.map(({ day, price }) => [Date.parse(day) / 1000, price / 1e6]),
	);
	const prices = days.map((day) => spent.get(day) ?? 0);
	const total = prices.reduce((sum, price) => sum + price, 0);
	frame.setAttribute(
		"aria-label",
		`Spent in ${DAYS} days: ${usd(Math.round(total * 1e6))}, day by day`,
	);
	const axis = {
		stroke: () => colour("--soft"),
		grid: { stroke: () => colour("--line"), width: 1 },
		ticks: { show: false },
	};
	const { uPlot } = /** @type {any} */ (globalThis);
	chart?.destroy();
	chart = new uPlot(
		{
			width: frame.clientWidth,
			height: HEIGHT,
			legend: { show: false },
			cursor: { show: false },
			scales: {
				x: { time: true },
				y: {
					range: (/** @type {number[]} */ ...[, , most]) => [
						0,
						Math.max(most ?? 0, 1e-4),
					],
				},
			},
			tzDate: (/** @type {number} */ seconds) =>
				uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
			axes: [
				{ ...axis, grid: { show: false }, space: 60 },
				{
					...axis,
					size: 72,
					values: (/** @type {any} */ _, /** @type {number[]} */ ticks) =>
						ticks.map((tick) => `$${Number(tick.toPrecision(6))}`),
				},
			],
			series: [
				{},
				{
					paths: uPlot.paths.bars({ size: [0.7, 28], radius: 0.2 }),
					fill: () => colour("--accent"),
					points: { show: false },
				},
			],
		},
		[days, prices],
		frame,
	);
}

async function showSums() {
	const group = by.value;
	const { data } = await call(`/v1/usage?by=${group}`);
	const sorted = data.sort(
		(/** @type {any} */ a, /** @type {any} */ b) => b.price - a.price,
	);
	element("usage", HTMLElement).replaceChildren(
		...sorted.map((/** @type {any} */ row) =>
			make(
				"tr",
				"",
				cell(nameOf(group, row[group]), "wide"),
				cell(`${row.jobs} ${row.jobs === 1 ? "job" : "jobs"}`),
				cell(`${row.prompt_tokens + row.output_tokens} tokens`),
				cell(usd(row.price), "number"),
			),
		),
	);
	element("no-usage", HTMLElement).hidden = sorted.length > 0;
}

/** @param {string} group @param {string} value */
function nameOf(group, value) {
	if (group === "task") return value || "own questions";
	if (group === "key") return names.get(value) ?? (value || "unknown");
	return value;
}

by.addEventListener("change", () => void showSums());
// The bars have the colours of the scheme, and the width of the page.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
	chart?.redraw(),
);
new ResizeObserver(() =>
	chart?.setSize({ width: frame.clientWidth, height: HEIGHT }),
).observe(frame);
