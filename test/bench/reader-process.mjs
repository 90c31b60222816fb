// @ts-check
/**
 * Many readers of one job in one process, as cheap as they can be: raw sockets, and what arrived is
 * read only after all of it arrived. readers.mjs starts it: `reader-process.mjs <port> <job> <give
 * up after, ms>`, its key in READER_KEY; each message is a list of readers to start.
 */
import { createHash } from "node:crypto";
import { connect } from "node:net";

/**
 * `stall`: seconds for which it takes nothing after its first bytes.
 * @typedef {{ name: number, stall: number }} Reader
 */
/**
 * @typedef {object} Report what one reader saw; times in ms since 1970
 * @property {number} name
 * @property {number} joined when its first bytes came
 * @property {number} ended
 * @property {string} sha256 of all text
 * @property {string | null} claimed the log's, as `done` says
 * @property {boolean} ordered the events are numbered 1, 2, 3, …
 * @property {number} events
 * @property {number[][]} seen `[emitted, arrived]` of each token that its text says the time of
 * @property {string | null} wrong
 */

const [port, job, patience] = process.argv.slice(2);
const request = [
	`GET /v1/jobs/${job}/events HTTP/1.1`,
	`Host: 127.0.0.1:${port}`,
	`Authorization: Bearer ${process.env.READER_KEY}`,
	"Accept: text/event-stream",
	"Connection: close",
	"\r\n",
].join("\r\n");

/** @param {Reader} reader */
function read({ name, stall }) {
	/** @type {{ at: number, bytes: Buffer }[]} */
	const pieces = [];
	let ended = false;
	const socket = connect({
		port: Number(port),
		host: "127.0.0.1",
		onread: {
			buffer: Buffer.allocUnsafe(64 * 1024),
			callback(length, buffer) {
				const bytes = Buffer.from(buffer.subarray(0, length));
				pieces.push({ at: Date.now(), bytes });
				if (pieces.length === 1) {
					process.send?.({ joined: name });
					if (stall > 0) {
						setTimeout(() => socket.resume(), stall * 1000);
						socket.pause();
						return false;
					}
				}
				return true;
			},
		},
	});
	const end = (/** @type {string | null} */ wrong) => {
		if (ended) return;
		ended = true;
		clearTimeout(late);
		socket.destroy();
		process.send?.({ report: report(name, pieces, wrong) });
	};
	const late = setTimeout(() => end("gave up"), Number(patience));
	socket.on("error", (error) => end(error.message));
	socket.on("end", () => end(null));
	socket.on("close", () => end(null));
	socket.write(request);
}

/**
 * @param {number} name @param {{ at: number, bytes: Buffer }[]} pieces @param {string | null} wrong
 * @returns {Report}
 */
function report(name, pieces, wrong) {
	const whole = Buffer.concat(pieces.map(({ bytes }) => bytes));
	/** When the byte before this offset came. */
	const arrivals = pieces.map(({ at, bytes }) => ({
		at,
		to: bytes.length,
	}));
	for (let n = 1; n < arrivals.length; n++)
		/** @type {{to: number}} */ (arrivals[n]).to += arrivals[n - 1]?.to ?? 0;
	const head = whole.indexOf("\r\n\r\n");
	const status = whole.subarray(9, 12).toString();
	let body = "";
	/**
	 * Where in `body` a chunk ends, and when it was all there.
	 * @type {{ to: number, at: number }[]}
	 */
	const chunks = [];
	let piece = 0;
	for (let from = head + 4; head > 0 && from < whole.length; ) {
		const line = whole.indexOf("\r\n", from);
		const size = Number.parseInt(whole.toString("latin1", from, line), 16);
		if (line < 0 || !size) break;
		const to = line + 2 + size;
		while ((arrivals[piece]?.to ?? Number.POSITIVE_INFINITY) < to) piece++;
		body += whole.toString("latin1", line + 2, to);
		chunks.push({ to: body.length, at: arrivals[piece]?.at ?? 0 });
		from = to + 2;
	}
	let text = "";
	let claimed = null;
	let events = 0;
	let ordered = true;
	let offset = 0;
	let chunk = 0;
	/** @type {number[][]} */
	const seen = [];
	for (const block of body.split("\n\n")) {
		offset += block.length + 2;
		const [, id, type, data] =
			/^id: (\d+)\nevent: (\S+)\ndata: (.*)$/m.exec(block) ?? [];
		if (!data) continue;
		events++;
		ordered &&= Number(id) === events;
		if (type === "done") claimed = JSON.parse(data).sha256;
		if (type !== "token") continue;
		const said = JSON.parse(data).text;
		text += said;
		while ((chunks[chunk]?.to ?? Number.POSITIVE_INFINITY) < offset) chunk++;
		for (const [, emitted] of said.matchAll(/@(\d{13})/g))
			seen.push([Number(emitted), chunks[chunk]?.at ?? 0]);
	}
	return {
		name,
		joined: pieces[0]?.at ?? 0,
		ended: pieces.at(-1)?.at ?? 0,
		sha256: createHash("sha256").update(text).digest("hex"),
		claimed,
		ordered,
		events,
		seen,
		wrong: wrong ?? (status === "200" ? null : `answered ${status}`),
	};
}

process.on("message", (/** @type {Reader[]} */ readers) => {
	for (const reader of readers) read(reader);
});
process.on("disconnect", () => process.exit());
