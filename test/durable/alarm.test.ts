import { runInDurableObject } from "cloudflare:test";
import { expect, it, vi } from "vitest";
import { Alarm } from "../../src/durable/alarm.ts";
import { accountStub } from "../support/account.ts";

const MINUTE = 60_000;
/** Far enough that no alarm of a test fires by itself. */
const LATER = Date.now() + 60 * MINUTE;

let objects = 0;
/** An alarm in a real object's storage, under a clock that the test moves. */
function withAlarm(
	test: (world: {
		storage: DurableObjectStorage;
		clock: { now: number };
		/** A fresh instance has a fresh one. */
		alarm: () => Alarm;
		/** Times that the alarm was written. */
		writes: () => number;
	}) => Promise<void>,
): Promise<void> {
	objects++;
	const stub = accountStub(`alarm ${objects}`);
	return runInDurableObject(stub, async (_, { storage }) => {
		const clock = { now: Date.now() };
		const set = vi.spyOn(storage, "setAlarm");
		await test({
			storage,
			clock,
			alarm: () => new Alarm(storage, () => clock.now),
			writes: () => set.mock.calls.length,
		});
		set.mockRestore();
		await storage.deleteAlarm();
	});
}

it("comes forward, goes back only where it is asked to, and is written as rarely as can be", () =>
	withAlarm(async ({ storage, alarm: fresh, writes }) => {
		const alarm = fresh();
		alarm.bringForward(LATER);
		alarm.bringForward(LATER);
		alarm.bringForward(LATER + MINUTE);
		expect([await storage.getAlarm(), writes()]).toEqual([LATER, 1]);
		alarm.bringForward(LATER - MINUTE);
		expect(await storage.getAlarm()).toBe(LATER - MINUTE);
		alarm.postpone(LATER - MINUTE + 500);
		alarm.postpone(LATER - 2 * MINUTE);
		expect([await storage.getAlarm(), writes()]).toEqual([LATER - MINUTE, 2]);
		alarm.postpone(LATER);
		expect(await storage.getAlarm()).toBe(LATER);
		alarm.clear();
		expect(await storage.getAlarm()).toBe(null);
		alarm.bringForward(LATER + MINUTE);
		expect(await storage.getAlarm()).toBe(LATER + MINUTE);
	}));

it("that a former instance set stays where it is, and one that was lost is set", () =>
	withAlarm(async ({ storage, alarm, writes }) => {
		alarm().bringForward(LATER);
		const second = alarm();
		await second.load();
		second.bringForward(LATER + MINUTE);
		expect([await storage.getAlarm(), writes()]).toEqual([LATER, 1]);
		await storage.deleteAlarm();
		const third = alarm();
		await third.load();
		third.bringForward(LATER + MINUTE);
		expect(await storage.getAlarm()).toBe(LATER + MINUTE);
	}));

it("that the platform dropped is set again by a call, once in a while, at its old time", () =>
	withAlarm(async ({ clock, storage, alarm: fresh, writes }) => {
		const alarm = fresh();
		alarm.bringForward(LATER);
		clock.now = LATER + 9_000;
		alarm.renew();
		expect(writes()).toBe(1);
		clock.now = LATER + 11_000;
		for (let call = 0; call < 3; call++) alarm.renew();
		alarm.bringForward(LATER + MINUTE);
		expect([await storage.getAlarm(), writes()]).toEqual([LATER, 2]);
		clock.now += 11_000;
		alarm.bringForward(LATER + MINUTE);
		expect([await storage.getAlarm(), writes()]).toEqual([LATER, 3]);
		alarm.onFired();
		alarm.renew();
		expect(writes()).toBe(3);
	}));
