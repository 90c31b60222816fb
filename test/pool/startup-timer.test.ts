import { describe, expect, it } from "vitest";
import { StartupTimer } from "../../src/pool/startup-timer.ts";

const fleet = (...ready: boolean[]) =>
	ready.map((ready, n) => ({ url: `http://${n}.test`, ready }));

describe("the ramp", () => {
	it("times from the first job that found no worker ready until one is, each by itself", () => {
		const ramp = new StartupTimer();
		ramp.observe(fleet(false, false), true, 1_000);
		ramp.observe(fleet(false, false), true, 30_000);
		expect(ramp.coldSince).toBe(1_000);
		expect(ramp.observe(fleet(true, false), true, 61_000)).toEqual({
			cold: 60_000,
			joined: [{ ms: 60_000, came: true }],
		});
		expect(ramp.coldSince).toBe(null);
		expect(ramp.awaitedSince("http://1.test")).toBe(1_000);
		expect(ramp.observe(fleet(true, true), true, 91_000)).toEqual({
			cold: null,
			joined: [{ ms: 90_000, came: true }],
		});
	});

	it("counts for nothing while nobody waits", () => {
		const ramp = new StartupTimer();
		ramp.observe(fleet(false), false, 1_000);
		expect(ramp.observe(fleet(true), false, 61_000)).toEqual({
			cold: null,
			joined: [],
		});
	});

	it("notes that jobs waited in vain, if it was long enough to tell", () => {
		const ramp = new StartupTimer();
		ramp.observe(fleet(true, false), true, 0);
		expect(ramp.observe(fleet(true, false), false, 20_000).joined).toEqual([
			{ ms: 20_000, came: false },
		]);
		ramp.observe(fleet(true, false), true, 30_000);
		expect(ramp.observe(fleet(true, false), false, 31_000).joined).toEqual([]);
	});
});
