// @ts-check
/** Draws played days as one SVG. */

/** @typedef {import("./report.ts").Played} Played */
/** @typedef {{ x: number, y: number, width: number, height: number }} Box */
/** @typedef {(value: number) => number} Scale */

const INK = "#1b1a18";
const SOFT = "#65625c";
const LINE = "#cfcdc6";
const BURST = "#f3e3c2";
const MAIN = "#0a6b55";
const OTHER = "#b4552d";
const HOUR = 3_600_000;
const WIDTH = 1180;
const HEIGHT = 900;

/** @param {number} value */
const n = (value) => value.toFixed(1);
/** @param {number} x @param {number} y @param {string} words @param {string} [more] */
const text = (x, y, words, more = "") =>
	`<text x="${n(x)}" y="${n(y)}" ${more}>${words}</text>`;
/**
 * @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2
 * @param {string} [more]
 */
const line = (x1, y1, x2, y2, more = `stroke="${LINE}"`) =>
	`<line x1="${n(x1)}" y1="${n(y1)}" x2="${n(x2)}" y2="${n(y2)}" ${more}/>`;
/** @param {Box} box @param {string} fill */
const rect = ({ x, y, width, height }, fill) =>
	`<rect x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}" fill="${fill}"/>`;
/**
 * @param {number} from @param {number} to @param {number} start @param {number} end
 * @returns {Scale}
 */
const scale = (from, to, start, end) => (value) =>
	start + ((value - from) / (to - from)) * (end - start);
/** Seconds, so that one and a thousand are both seen. @param {number} seconds */
const log = (seconds) => Math.log10(1 + seconds);

/** @param {readonly Played[]} days @returns {string} */
export function plot(days) {
	const [first] = days;
	if (!first) return "";
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" ` +
			`viewBox="0 0 ${WIDTH} ${HEIGHT}">`,
		`<style>text { font: 13px system-ui, sans-serif; fill: ${SOFT}; } ` +
			`.title { font-size: 15px; font-weight: 600; fill: ${INK}; }</style>`,
		rect({ x: 0, y: 0, width: WIDTH, height: HEIGHT }, "#ffffff"),
		signal(first, { x: 70, y: 50, width: 1080, height: 240 }),
		slots(first, { x: 70, y: 340, width: 1080, height: 90 }),
		quotes(first, { x: 70, y: 510, width: 400, height: 320 }),
		coverage(days, { x: 560, y: 510, width: 250, height: 320 }),
		overtaken(first, { x: 890, y: 510, width: 260, height: 320 }),
		"</svg>",
	].join("\n");
}

/** @param {Played} day @param {Box} box */
function hours({ signals }, { x, width }) {
	return scale(0, signals.at(-1)?.at ?? 1, x, x + width);
}

/** @param {Played} day @param {Box} box */
function bursts(day, box) {
	const at = hours(day, box);
	return day.signals
		.map((signal, k) => {
			const next = day.signals[k + 1];
			if (!signal.burst || !next) return "";
			const x = at(signal.at);
			return rect({ ...box, x, width: at(next.at) - x + 0.3 }, BURST);
		})
		.join("");
}

/** @param {Played} day @param {Box} box */
function signal(day, box) {
	const { x, y, width, height } = box;
	const at = hours(day, box);
	const most = Math.max(...day.signals.map(({ queued }) => queued));
	const up = scale(0, log(most), y + height, y);
	const marks = [0, 10, 100, 1000].filter((seconds) => seconds < most);
	const points = day.signals
		.map(({ at: t, queued }) => `${n(at(t))},${n(up(log(queued)))}`)
		.join(" ");
	return [
		text(
			x,
			y - 18,
			"Load: queued seconds per ready slot, as the autoscaler read it " +
				`(seed ${day.report.seed}; bursts shaded)`,
			'class="title"',
		),
		bursts(day, box),
		...marks.map(
			(seconds) =>
				line(x, up(log(seconds)), x + width, up(log(seconds))) +
				text(x - 10, up(log(seconds)) + 4, `${seconds} s`, end),
		),
		`<polyline points="${points}" fill="none" stroke="${MAIN}" stroke-width="1.5"/>`,
	].join("\n");
}

const end = 'text-anchor="end"';
const middle = 'text-anchor="middle"';

/** @param {Played} day @param {Box} box */
function slots(day, box) {
	const { x, y, width, height } = box;
	const at = hours(day, box);
	const most = Math.max(...day.signals.map(({ readySlots }) => readySlots));
	const up = scale(0, most, y + height, y);
	const last = day.signals.at(-1)?.at ?? 0;
	/** @param {(signal: Played["signals"][number]) => number} value */
	const steps = (value) =>
		day.signals
			.map((signal, k) => {
				const next = day.signals[k + 1]?.at ?? last;
				const level = n(up(value(signal)));
				return `${n(at(signal.at))},${level} ${n(at(next))},${level}`;
			})
			.join(" ");
	const step = last > 5 * HOUR ? HOUR : HOUR / 4;
	const marks = Array.from({ length: 1 + last / step }, (_, k) => k * step);
	return [
		text(
			x,
			y - 14,
			`Slots of ready workers <tspan fill="${MAIN}">■</tspan>, ` +
				`taken ones <tspan fill="${OTHER}">■</tspan>`,
			'class="title"',
		),
		bursts(day, box),
		line(x, y + height, x + width, y + height),
		text(x - 10, y + 4, String(most), end),
		text(x - 10, y + height + 4, "0", end),
		...marks.map((ms) =>
			text(at(ms), y + height + 20, `${ms / HOUR} h`, middle),
		),
		`<polyline points="${steps(({ running }) => running)}" ` +
			`fill="none" stroke="${OTHER}" stroke-width="1"/>`,
		`<polyline points="${steps(({ readySlots }) => readySlots)}" ` +
			`fill="none" stroke="${MAIN}" stroke-width="1.5"/>`,
	].join("\n");
}

/** @param {Played} day @param {Box} box */
function quotes(day, { x, y, width, height }) {
	const most = Math.max(
		...day.quotes.flatMap(([, , p90, wait]) => [p90, wait]),
	);
	const across = scale(0, log(most), x, x + width);
	const up = scale(0, log(most), y + height, y);
	const marks = [0, 10, 100, 1000].filter((seconds) => seconds < most);
	const every = Math.ceil(day.quotes.length / 1500);
	return [
		text(x, y - 18, "Each job's wait by its quoted p90", 'class="title"'),
		...marks.map(
			(seconds) =>
				line(x, up(log(seconds)), x + width, up(log(seconds))) +
				text(x - 10, up(log(seconds)) + 4, `${seconds} s`, end) +
				text(across(log(seconds)), y + height + 20, `${seconds} s`, middle),
		),
		...day.quotes
			.filter((_, k) => k % every === 0)
			.map(
				([account, , p90, wait]) =>
					`<circle cx="${n(across(log(p90)))}" cy="${n(up(log(wait)))}" r="1.4" ` +
					`fill="${account === 0 ? OTHER : MAIN}" fill-opacity="0.4"/>`,
			),
		line(x, y + height, x + width, y, `stroke="${INK}" stroke-dasharray="4 3"`),
		text(
			x + width / 2,
			y + height + 42,
			`quoted p90; the heavy account <tspan fill="${OTHER}">●</tspan>, ` +
				`light ones <tspan fill="${MAIN}">●</tspan>; below the line: kept`,
			middle,
		),
	].join("\n");
}

/** @param {readonly Played[]} days @param {Box} box */
function coverage(days, { x, y, width, height }) {
	const up = scale(0, 1, y + height, y);
	const step = width / days.length;
	return [
		text(x, y - 18, "Starts by the quote, per seed", 'class="title"'),
		rect({ x, y: up(0.95), width, height: up(0.85) - up(0.95) }, "#dcebe5"),
		...[0, 0.5, 0.9, 1].map(
			(share) =>
				line(x, up(share), x + width, up(share)) +
				text(x - 8, up(share) + 4, `${share * 100} %`, end),
		),
		...days.flatMap(({ report: { seed, start } }, k) => {
			const at = x + (k + 0.5) * step;
			/** @param {number} share @param {string} fill */
			const dot = (share, fill) =>
				`<circle cx="${n(at)}" cy="${n(up(share))}" r="5" fill="${fill}"/>` +
				text(at + 9, up(share) + 5, `${(share * 100).toFixed(1)}`);
			return [
				dot(start.underP90, MAIN),
				dot(start.underP50, OTHER),
				text(at, y + height + 20, String(seed), middle),
			];
		}),
		text(
			x + width / 2,
			y + height + 42,
			`seed; p90 <tspan fill="${MAIN}">●</tspan>, p50 <tspan fill="${OTHER}">●</tspan>`,
			middle,
		),
	].join("\n");
}

/** @param {Played} day @param {Box} box */
function overtaken({ before }, { x, y, width, height }) {
	const most = Math.max(...before, 1);
	const counts = Array.from(
		{ length: most + 1 },
		(_, slots) => before.filter((other) => other === slots).length,
	);
	const up = scale(0, Math.max(...counts), y + height, y);
	const step = width / counts.length;
	return [
		text(x, y - 18, "Slots others got before", 'class="title"'),
		...counts.map(
			(count, slots) =>
				rect(
					{
						x: x + slots * step + 2,
						y: up(count),
						width: step - 4,
						height: y + height - up(count),
					},
					MAIN,
				) +
				text(x + (slots + 0.5) * step, up(count) - 5, String(count), middle) +
				text(x + (slots + 0.5) * step, y + height + 20, String(slots), middle),
		),
		text(
			x + width / 2,
			y + height + 42,
			"an account's first job; eight others wait at most",
			middle,
		),
	].join("\n");
}
