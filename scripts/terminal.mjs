// @ts-check
/**
 * What the scripts show. On a terminal, running rows live at the bottom and finished ones scroll up
 * above them; elsewhere each start, each end and a sign of life every half minute is one plain
 * line.
 */
const live = Boolean(process.stdout.isTTY) && process.env.TERM !== "dumb";
export const colored = live && !process.env.NO_COLOR;

/** @param {number} code */
const style = (code) => (/** @type {string} */ text) =>
	colored ? `\x1b[${code}m${text}\x1b[0m` : text;
export const bold = style(1);
export const dim = style(2);
export const red = style(31);
export const green = style(32);
export const yellow = style(33);
export const cyan = style(36);

/** @param {number} ms @returns {string} `0.4 s`, `41 s`, `2 min 38 s` */
export function duration(ms) {
	const s = ms / 1000;
	if (s < 10) return `${s.toFixed(1)} s`;
	if (s < 60) return `${Math.round(s)} s`;
	return `${Math.floor(Math.round(s) / 60)} min ${Math.round(s) % 60} s`;
}

const FRAMES = [..."⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"];
const NAME_WIDTH = 18;
const DETAIL_WIDTH = 42; // less on a narrow terminal: a row that wraps could not be erased
const SIGN_OF_LIFE_MS = 30_000;

/** @param {string} text @param {number} width */
const pad = (text, width) =>
	text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width);

class Row {
	/** @type {Board} */ #board;
	detail = "";
	startedAt = Date.now();
	/** @param {Board} board @param {string} name @param {string} detail */
	constructor(board, name, detail) {
		this.#board = board;
		this.name = name;
		this.detail = detail;
	}
	get elapsed() {
		return Date.now() - this.startedAt;
	}
	/** @param {string} [detail] */
	done(detail = this.detail) {
		this.#board.end(this, green("✓"), detail);
	}
	/** @param {string} detail */
	fail(detail) {
		this.#board.end(this, red("✗"), detail);
	}
	/** Stopped because something else failed; says nothing. */
	drop() {
		this.#board.drop(this);
	}
}

export class Board {
	/** @type {Set<Row>} */ #rows = new Set();
	/** @type {NodeJS.WriteStream} */ #out;
	#drawn = 0;
	#frame = 0;
	/** @type {NodeJS.Timeout | undefined} */ #timer;

	constructor(/** @type {NodeJS.WriteStream} */ out = process.stdout) {
		this.#out = out;
	}

	/** @param {string} name @param {string} [detail] */
	row(name, detail = "") {
		const row = new Row(this, name, detail);
		this.#rows.add(row);
		if (!live) this.#out.write(`  … ${name}${detail && `: ${detail}`}\n`);
		this.#tick();
		return row;
	}

	/** Prints above the running rows. @param {string} [text] */
	print(text = "") {
		this.#erase();
		this.#out.write(`${text}\n`);
		this.#draw();
	}

	/** @param {Row} row @param {string} mark @param {string} detail */
	end(row, mark, detail) {
		if (!this.#rows.delete(row)) return;
		this.print(this.#line(mark, row, detail));
		this.#tick();
	}

	/** Drops every running row. */
	clear() {
		for (const row of [...this.#rows]) this.drop(row);
	}

	/** @param {Row} row */
	drop(row) {
		if (!this.#rows.delete(row)) return;
		this.#erase();
		this.#draw();
		this.#tick();
	}

	/** @param {string} mark @param {Row} row @param {string} detail */
	#line(mark, row, detail) {
		const time = duration(row.elapsed).padStart(12);
		const room = (this.#out.columns ?? 80) - NAME_WIDTH - time.length - 7;
		const width = Math.max(1, Math.min(DETAIL_WIDTH, room));
		return `  ${mark} ${pad(row.name, NAME_WIDTH)} ${dim(pad(detail, width))} ${time}`;
	}

	#tick() {
		if (this.#rows.size === 0) {
			clearInterval(this.#timer);
			this.#timer = undefined;
			if (live) this.#out.write("\x1b[?25h");
		} else if (!this.#timer) {
			if (live) this.#out.write("\x1b[?25l");
			const beat = () => {
				if (live) {
					this.#frame++;
					this.#erase();
					this.#draw();
				} else {
					const running = [...this.#rows].map(
						(r) => `${r.name} ${duration(r.elapsed)}`,
					);
					this.#out.write(`  … still at it: ${running.join(", ")}\n`);
				}
			};
			this.#timer = setInterval(beat, live ? 100 : SIGN_OF_LIFE_MS);
			this.#timer.unref();
		}
	}

	#erase() {
		if (live && this.#drawn) this.#out.write(`\x1b[${this.#drawn}A\x1b[0J`);
		this.#drawn = 0;
	}

	#draw() {
		if (!live) return;
		const mark = cyan(FRAMES[this.#frame % FRAMES.length] ?? "");
		for (const row of this.#rows)
			this.#out.write(`${this.#line(mark, row, row.detail)}\n`);
		this.#drawn = this.#rows.size;
	}
}

// A terminal left without its cursor is a nuisance.
if (live) process.on("exit", () => process.stdout.write("\x1b[?25h"));
