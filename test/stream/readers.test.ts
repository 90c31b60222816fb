import { describe, expect, it } from "vitest";
import { Readers } from "../../src/stream/readers.ts";

/** A log of numbered events, and a storage whose writes are durable at once. */
function logOf() {
	const log = {
		lastSeq: 0,
		between: (from: number, upTo: number) =>
			Array.from({ length: upTo - from }, (_, n) => ({
				seq: from + n + 1,
				type: "token",
				data: "{}",
			})),
	};
	const storage = { sync: async () => {} } as DurableObjectStorage;
	return { log, storage };
}

/** The object's end of a reader's socket, which notes what it was sent. */
function socketOf(onSend: () => void = () => {}) {
	const sent: number[][] = [];
	const socket = {
		send(message: string) {
			sent.push(JSON.parse(message).map(({ seq }: { seq: number }) => seq));
			onSend();
		},
		serializeAttachment() {},
		deserializeAttachment: () => null,
	} as unknown as WebSocket;
	return { socket, sent };
}

describe("many readers", () => {
	it("are each sent every event once and in order, what comes meanwhile as one", async () => {
		const { log, storage } = logOf();
		const all = Array.from({ length: 250 }, () => socketOf());
		const readers = new Readers(
			all.map(({ socket }) => socket),
			0,
		);
		for (const { socket } of all) readers.onMessage(socket, "0", log);
		log.lastSeq = 2;
		const first = readers.publish(storage, log);
		await Promise.resolve();
		log.lastSeq = 3;
		const second = readers.publish(storage, log);
		log.lastSeq = 5;
		await Promise.all([first, second, readers.publish(storage, log)]);
		for (const { sent } of all) {
			expect(sent.flat()).toEqual([1, 2, 3, 4, 5]);
			expect(sent.length).toBeLessThanOrEqual(2);
		}
	});

	it("let other work run between groups of them", async () => {
		const { log, storage } = logOf();
		let reached = 0;
		const all = Array.from({ length: 250 }, () => socketOf(() => reached++));
		const readers = new Readers(
			all.map(({ socket }) => socket),
			0,
		);
		for (const { socket } of all) readers.onMessage(socket, "0", log);
		const atTurns: number[] = [];
		const turn = setInterval(() => atTurns.push(reached), 0);
		log.lastSeq = 1;
		await readers.publish(storage, log);
		clearInterval(turn);
		expect(reached).toBe(250);
		expect(atTurns.some((n) => n > 0 && n < 250)).toBe(true);
	});

	it("that join while others are sent an event get it once", async () => {
		const { log, storage } = logOf();
		const late = socketOf();
		let joined = false;
		const all = Array.from({ length: 250 }, () =>
			socketOf(() => {
				if (joined) return;
				joined = true;
				readers.onMessage(late.socket, "0", log);
			}),
		);
		const readers = new Readers(
			[late, ...all].map(({ socket }) => socket),
			0,
		);
		for (const { socket } of all) readers.onMessage(socket, "0", log);
		log.lastSeq = 1;
		await readers.publish(storage, log);
		log.lastSeq = 2;
		await readers.publish(storage, log);
		expect(late.sent.flat()).toEqual([1, 2]);
	});
});
