import { describe, expect, it } from "vitest";
import { Traffic } from "../../src/pool/traffic.ts";

const MINUTE = 60_000;

/** Evenly spread over [0, 1), the same each time. */
function evenly(): () => number {
	let n = 0;
	return () => (n++ * 0.618_033_988_75) % 1;
}

const mean = (values: number[]) =>
	values.reduce((sum, value) => sum + value, 0) / values.length;

/** Jobs at this many a minute. */
function send(traffic: Traffic, from: number, to: number, perMinute: number) {
	for (let at = from; at < to; at += MINUTE / perMinute)
		traffic.record("account", at);
}

describe("the traffic to come", () => {
	it("is none before any came", () => {
		const [future] = new Traffic().futures(1, 0, evenly());
		expect(future?.(60 * MINUTE)).toBe(0);
	});

	it("goes on as it was", () => {
		const traffic = new Traffic();
		send(traffic, 0, 60 * MINUTE, 20);
		for (const future of traffic.futures(20, 60 * MINUTE, evenly())) {
			expect(future(0)).toBe(0);
			expect(future(10 * MINUTE)).toBeCloseTo(200, -1);
		}
	});

	it("in a burst is the rest of it and then the usual, in the calm the other way round", () => {
		const traffic = new Traffic();
		// Five minutes at 40, ten at 4; 16 in the mean.
		for (let at = 0; at < 105 * MINUTE; at += 15 * MINUTE) {
			send(traffic, at, at + 5 * MINUTE, 40);
			send(traffic, at + 5 * MINUTE, at + 15 * MINUTE, 4);
		}
		send(traffic, 105 * MINUTE, 106 * MINUTE, 40);
		const within = (now: number, ms: number) =>
			mean(traffic.futures(96, now, evenly()).map((future) => future(ms)));
		expect(within(106 * MINUTE, MINUTE)).toBeGreaterThan(25);
		expect(within(106 * MINUTE, 60 * MINUTE)).toBeGreaterThan(14 * 60);
		expect(within(106 * MINUTE, 60 * MINUTE)).toBeLessThan(20 * 60);
		send(traffic, 106 * MINUTE, 110 * MINUTE, 40);
		send(traffic, 110 * MINUTE, 113 * MINUTE, 4);
		expect(within(113 * MINUTE, MINUTE)).toBeLessThan(14);
	});

	it("is never less by a later time", () => {
		const traffic = new Traffic();
		send(traffic, 0, 3 * MINUTE, 60);
		send(traffic, 9 * MINUTE, 10 * MINUTE, 5);
		for (const future of traffic.futures(50, 10 * MINUTE, evenly())) {
			const sums = Array.from({ length: 100 }, (_, n) => future(n * 17_000));
			expect(sums).toEqual([...sums].sort((a, b) => a - b));
		}
	});

	it("after a quiet night knows nothing of yesterday", () => {
		const traffic = new Traffic();
		send(traffic, 0, 60 * MINUTE, 60);
		const [future] = traffic.futures(1, 600 * MINUTE, evenly());
		expect(future?.(60 * MINUTE)).toBe(0);
	});
});

describe("an account's share of it", () => {
	it("is what it sent of late", () => {
		const traffic = new Traffic();
		for (let n = 0; n < 90; n++) traffic.record("heavy", n);
		for (let n = 0; n < 10; n++) traffic.record("light", n);
		const shares = traffic.shares(100);
		expect(shares.get("heavy")).toBeCloseTo(0.9);
		expect(shares.get("light")).toBeCloseTo(0.1);
		traffic.record("new", 60 * MINUTE);
		expect([...traffic.shares(60 * MINUTE).keys()]).toEqual(["new"]);
	});
});
