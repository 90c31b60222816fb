import { describe, expect, it } from "vitest";
import { alarmAt, grantable, mustProbe } from "../../src/pool/decide.ts";

const worker = { ready: true, slots: 4, digest: "d", seenAt: 1000 };

describe("slots", () => {
	it("are granted up to what the worker runs at once, to those who wait", () => {
		expect(grantable({ worker, leased: 0, waiting: 9 })).toBe(4);
		expect(grantable({ worker, leased: 3, waiting: 9 })).toBe(1);
		expect(grantable({ worker, leased: 0, waiting: 2 })).toBe(2);
		expect(grantable({ worker, leased: 4, waiting: 9 })).toBe(0);
	});

	it("of a worker that came back smaller are not granted below zero", () => {
		const small = { ...worker, slots: 1 };
		expect(grantable({ worker: small, leased: 4, waiting: 9 })).toBe(0);
	});

	it("of a worker that is not ready, or was never seen, do not exist", () => {
		const away = { ...worker, ready: false };
		expect(grantable({ worker: away, leased: 0, waiting: 1 })).toBe(0);
		expect(grantable({ worker: null, leased: 0, waiting: 1 })).toBe(0);
	});
});

describe("the worker", () => {
	it("is asked when nothing was heard of it for a while", () => {
		expect(mustProbe(null, 1000)).toBe(true);
		expect(mustProbe({ ...worker, ready: false }, 1000)).toBe(true);
		expect(mustProbe(worker, 2000)).toBe(false);
		expect(mustProbe(worker, 1000 + 60_000)).toBe(true);
	});

	it("is probed every second while somebody waits, else the pool sleeps until a lease ends", () => {
		expect(alarmAt(3, null, 5000)).toBe(6000);
		expect(alarmAt(3, 5500, 5000)).toBe(5500);
		expect(alarmAt(0, 40_000, 5000)).toBe(40_000);
		expect(alarmAt(0, null, 5000)).toBe(null);
	});
});
