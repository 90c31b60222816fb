import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FairQueue, type QueueEntry } from "../../src/pool/queue.ts";

const waiter = (
	place: number,
	account: string,
	resumed = false,
): QueueEntry & { picky: boolean } => ({
	place,
	account,
	resumed,
	job: `${account}/${place}`,
	picky: false,
});

/**
 * What may happen to a queue: a job of an account comes, resumed or not; a slot comes free; a job
 * leaves.
 */
const event = fc.oneof(
	{ weight: 4, arbitrary: fc.record({ come: fc.nat({ max: 5 }) }) },
	{ weight: 1, arbitrary: fc.record({ resume: fc.nat({ max: 5 }) }) },
	{ weight: 4, arbitrary: fc.record({ free: fc.constant(true) }) },
	{ weight: 1, arbitrary: fc.record({ leave: fc.nat({ max: 99 }) }) },
);
type Happened = {
	come?: number;
	resume?: number;
	free?: boolean;
	leave?: number;
};

/** Plays events on a queue, and on a list that knows only who waits. */
function play(
	events: Happened[],
	look: {
		granted?: (job: QueueEntry, waited: QueueEntry[]) => void;
		came?: (job: QueueEntry, queue: FairQueue<QueueEntry>) => void;
	} = {},
) {
	const queue = new FairQueue<QueueEntry>();
	const waiting: QueueEntry[] = [];
	let place = 0;
	for (const { come, resume, free, leave } of events) {
		const from = come ?? resume;
		if (from !== undefined) {
			place++;
			const job = waiter(place, `account-${from}`, resume !== undefined);
			queue.enqueue(job);
			waiting.push(job);
			look.came?.(job, queue);
		} else if (free) {
			const job = queue.dequeue();
			expect(job === null).toBe(waiting.length === 0);
			if (!job) continue;
			waiting.splice(waiting.indexOf(job), 1);
			look.granted?.(job, [...waiting]);
		} else if (leave !== undefined && waiting.length > 0) {
			const [gone] = waiting.splice(leave % waiting.length, 1);
			expect(queue.remove((gone as QueueEntry).job)).toBe(gone);
		}
		expect(queue.size).toBe(waiting.length);
	}
	return { queue, waiting };
}

const anyEvents = fc.array(event, { maxLength: 200 });

describe("the queue", () => {
	it("serves resumed jobs first of all, first come first", () => {
		fc.assert(
			fc.property(anyEvents, (events) => {
				play(events, {
					granted: (job, waiting) => {
						const resumed = waiting.filter((other) => other.resumed);
						if (!job.resumed) expect(resumed).toEqual([]);
						for (const other of resumed)
							expect(other.place).toBeGreaterThan(job.place);
					},
				});
			}),
		);
	});

	it("is first come, first served inside an account", () => {
		fc.assert(
			fc.property(anyEvents, (events) => {
				play(events, {
					granted: (job, waiting) => {
						for (const { account, resumed, place } of waiting)
							if (account === job.account && resumed === job.resumed)
								expect(place).toBeGreaterThan(job.place);
					},
				});
			}),
		);
	});

	it("gives no other account more than one slot before the first job of one that was quiet", () => {
		fc.assert(
			fc.property(anyEvents, (events) => {
				const quiet = waiter(1_000, "quiet");
				const { queue } = play(events);
				queue.enqueue(quiet);
				const before = new Map<string, number>();
				for (let job = queue.dequeue(); job !== quiet; job = queue.dequeue()) {
					const { account, resumed } = job as QueueEntry;
					if (resumed) continue;
					before.set(account, (before.get(account) ?? 0) + 1);
				}
				for (const slots of before.values()) expect(slots).toBe(1);
			}),
		);
	});

	it("does so too after a crowd of accounts came and went", () => {
		fc.assert(
			fc.property(fc.integer({ min: 1, max: 100 }), (crowd) => {
				const queue = new FairQueue<QueueEntry>();
				let place = 0;
				for (let n = 0; n < 10; n++) queue.enqueue(waiter(++place, "old"));
				for (let n = 0; n < crowd; n++)
					queue.enqueue(waiter(++place, `crowd-${n}`));
				for (let n = 0; n < crowd + 1; n++) queue.dequeue();
				queue.enqueue(waiter(++place, "quiet"));
				expect(queue.position(`quiet/${place}`)).toBeLessThanOrEqual(2);
			}),
		);
	});

	it("serves another account's first job at the very next slot, however many one has sent", () => {
		const queue = new FairQueue<QueueEntry>();
		for (let n = 1; n <= 1_000; n++) queue.enqueue(waiter(n, "heavy"));
		for (let n = 0; n < 10; n++) expect(queue.dequeue()?.account).toBe("heavy");
		queue.enqueue(waiter(1_001, "light"));
		expect(queue.position("light/1001")).toBe(1);
		expect(queue.dequeue()?.account).toBe("light");
		expect(queue.dequeue()?.account).toBe("heavy");
	});

	it("gives those that always wait the same number of slots, one more or less", () => {
		fc.assert(
			fc.property(
				fc.integer({ min: 2, max: 8 }),
				fc.integer({ min: 10, max: 100 }),
				(accounts, grants) => {
					const queue = new FairQueue<QueueEntry>();
					let place = 0;
					for (let n = 0; n < accounts * grants; n++)
						queue.enqueue(waiter(++place, `account-${n % accounts}`));
					const slots = Array<number>(accounts).fill(0);
					for (let n = 0; n < grants; n++) {
						const account = Number(queue.dequeue()?.account.at(-1));
						(slots[account] as number)++;
					}
					expect(Math.max(...slots) - Math.min(...slots)).toBeLessThan(2);
				},
			),
		);
	});

	it("starves nobody: not the second job of an account while ever new accounts come", () => {
		fc.assert(
			fc.property(
				fc.integer({ min: 2, max: 20 }),
				fc.integer({ min: 1, max: 20 }),
				(jobs, crowd) => {
					const queue = new FairQueue<QueueEntry>();
					let place = 0;
					for (let n = 0; n < jobs; n++) queue.enqueue(waiter(++place, "old"));
					for (let n = 0; n < crowd; n++)
						queue.enqueue(waiter(++place, `new-${place}`));
					let served = 0;
					let grants = 0;
					while (served < jobs) {
						if (queue.dequeue()?.account === "old") served++;
						else queue.enqueue(waiter(++place, `new-${place}`));
						grants++;
						// Its share is that of those who wait and one who may come, but for the first time
						// round.
						const round = crowd + 2;
						expect(grants).toBeLessThanOrEqual((served + 2) * round);
					}
				},
			),
		);
	});

	it("charges an account for no job that left unserved", () => {
		const queue = new FairQueue<QueueEntry>();
		for (let n = 1; n <= 100; n++) queue.enqueue(waiter(n, "a"));
		for (let n = 1; n <= 99; n++) queue.remove(`a/${n}`);
		queue.enqueue(waiter(101, "b"));
		queue.enqueue(waiter(102, "b"));
		expect([1, 2, 3].map(() => queue.dequeue()?.job)).toEqual([
			"a/100",
			"b/101",
			"b/102",
		]);
	});

	it("tells each job the position at which it is served if nobody comes", () => {
		fc.assert(
			fc.property(anyEvents, (events) => {
				const { queue, waiting } = play(events);
				const order = queue.order(1_000);
				const told = waiting.map(({ job }) => queue.position(job));
				expect(queue.position("nobody")).toBe(0);
				const served: QueueEntry[] = [];
				for (let job = queue.dequeue(); job; job = queue.dequeue())
					served.push(job);
				expect(order).toEqual(served);
				expect(told).toEqual(waiting.map((job) => served.indexOf(job) + 1));
			}),
		);
	});

	it("knows how many jobs another account may still send before one's turn", () => {
		fc.assert(
			fc.property(anyEvents, fc.nat({ max: 5 }), (events, from) => {
				const { queue, waiting } = play(events);
				const last = waiting.filter(({ resumed }) => !resumed).at(-1);
				const other = `account-${from}`;
				if (!last || last.account === other) return;
				const [room] = queue.headroom(last.job, [other]);
				const before = queue.position(last.job);
				for (let n = 0; n < 50; n++) queue.enqueue(waiter(1_000 + n, other));
				expect(queue.position(last.job) - before).toBe(
					Math.min(50, room?.jobs ?? 0),
				);
			}),
		);
	});

	it("passes over a job that does not fit, and keeps its turn", () => {
		const queue = new FairQueue<QueueEntry & { picky: boolean }>();
		queue.enqueue({ ...waiter(1, "a", true), picky: true });
		queue.enqueue({ ...waiter(2, "b"), picky: true });
		queue.enqueue(waiter(3, "b"));
		queue.enqueue(waiter(4, "c"));
		const easy = ({ picky }: { picky: boolean }) => !picky;
		expect(queue.dequeue(easy)?.job).toBe("c/4");
		expect(queue.dequeue(easy)).toBe(null);
		expect(queue.order(9).map(({ job }) => job)).toEqual(["a/1", "b/2", "b/3"]);
		expect(queue.dequeue()?.job).toBe("a/1");
	});
});
