import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { afterEnd, CLOSED } from "../../src/pool/breaker.ts";
import {
	afterProbe,
	type Candidate,
	chooseWorker,
	freeSlots,
	isStale,
	needsProbe,
	unprobedWorker,
	type Worker,
} from "../../src/pool/fleet.ts";

const NOW = 1_000_000;
const fresh = unprobedWorker("http://a.test", 0);
const ready = afterProbe(
	fresh,
	{ status: "ready", model: "nano", digest: "d", slots: 4 },
	"nano",
	NOW,
);
const broken = ["1", "2", "3"].reduce(
	(breaker, job) => afterEnd(breaker, job, false, NOW),
	CLOSED,
);

describe("a worker", () => {
	it("has as many free slots as it says, less those taken, and never fewer than none", () => {
		expect(freeSlots(ready, 0, NOW)).toBe(4);
		expect(freeSlots(ready, 3, NOW)).toBe(1);
		expect(freeSlots(ready, 9, NOW)).toBe(0);
	});

	it.each(["starting", "draining", "away"] as const)(
		"that is %s gets nothing",
		(status) => {
			const now = afterProbe(ready, { status }, "nano", NOW);
			expect([now.state, freeSlots(now, 0, NOW)]).toEqual([status, 0]);
			expect(now.slots).toBe(4);
		},
	);

	it("of another model gets nothing", () => {
		const other = { model: "vicuna-7b", digest: "d", slots: 4 };
		const now = afterProbe(fresh, { status: "ready", ...other }, "nano", NOW);
		expect([now.state, freeSlots(now, 0, NOW)]).toEqual(["mistaken", 0]);
	});

	it("whose circuit is open gets nothing, then one job", () => {
		const failing = { ...ready, breaker: broken };
		expect(freeSlots(failing, 0, NOW)).toBe(0);
		expect(freeSlots(failing, 0, NOW + 5_000)).toBe(1);
	});

	it("is asked before a slot of it is promised when nothing was heard of it for a while", () => {
		expect(isStale(fresh, NOW)).toBe(true);
		expect(isStale(ready, NOW + 30_000)).toBe(false);
		expect(isStale(ready, NOW + 30_001)).toBe(true);
		expect(freeSlots(ready, 0, NOW + 30_001)).toBe(0);
	});

	it("is asked every second while it is not ready, every five while it is", () => {
		const away = afterProbe(ready, { status: "away" }, "nano", NOW);
		expect([
			needsProbe(away, NOW + 999),
			needsProbe(away, NOW + 1_000),
		]).toEqual([false, true]);
		expect([
			needsProbe(ready, NOW + 4_999),
			needsProbe(ready, NOW + 5_000),
		]).toEqual([false, true]);
	});
});

const spot = (
	url: string,
	free: number,
	part: Partial<Worker> = {},
): Candidate => ({
	worker: { ...ready, url, ...part },
	free,
});

describe("the choice of a worker", () => {
	it("is the one with the most free slots", () => {
		const spots = [spot("a", 1), spot("b", 3), spot("c", 2)];
		expect(chooseWorker(spots, null)?.url).toBe("b");
		expect(chooseWorker([spot("a", 0)], null)).toBe(null);
	});

	it("passes over the one that failed the job while another takes jobs, even a busy one", () => {
		expect(chooseWorker([spot("a", 3), spot("b", 1)], "a")?.url).toBe("b");
		expect(chooseWorker([spot("a", 3), spot("b", 0)], "a")).toBe(null);
		const away = spot("b", 0, { state: "away" });
		expect(chooseWorker([spot("a", 3), away], "a")?.url).toBe("a");
		const open = spot("b", 0, { breaker: broken });
		expect(chooseWorker([spot("a", 3), open], "a")?.url).toBe("a");
	});

	it("never takes one without a free slot, and takes one if any is there", () => {
		const any = fc.record({
			url: fc.constantFrom("a", "b", "c", "d"),
			free: fc.nat({ max: 3 }),
			up: fc.boolean(),
		});
		const unique = fc.uniqueArray(any, { selector: ({ url }) => url });
		const avoided = fc.constantFrom("a", "b", null);
		fc.assert(
			fc.property(unique, avoided, (rows, avoid) => {
				const spots = rows.map(({ url, free, up }) =>
					spot(url, up ? free : 0, { state: up ? "ready" : "away" }),
				);
				const chosen = chooseWorker(spots, avoid);
				const others = rows.filter(({ url, up }) => up && url !== avoid);
				const of = others.length > 0 ? others : rows;
				const most = Math.max(0, ...of.map(({ free, up }) => (up ? free : 0)));
				expect(spots.find((s) => s.worker.url === chosen?.url)?.free ?? 0).toBe(
					most,
				);
			}),
		);
	});
});
