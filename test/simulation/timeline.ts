/** Virtual time: what is due next happens next, and nothing takes time by itself. */
export class Timeline {
	now: number;
	readonly #heap: { at: number; n: number; run: () => unknown }[] = [];
	#n = 0;

	constructor(now: number) {
		this.now = now;
	}

	/** @param ms from now; whole, as a clock has them */
	after(ms: number, run: () => unknown): void {
		const event = { at: this.now + Math.round(ms), n: this.#n++, run };
		const heap = this.#heap;
		let at = heap.push(event) - 1;
		for (;;) {
			const parent = (at - 1) >> 1;
			if (at === 0 || !before(event, heap[parent])) break;
			heap[at] = heap[parent] as typeof event;
			at = parent;
		}
		heap[at] = event;
	}

	get next(): number {
		return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY;
	}

	/** Runs what is due next. */
	async step(): Promise<void> {
		const heap = this.#heap;
		const first = heap[0];
		const last = heap.pop();
		if (!first || !last) return;
		if (heap.length > 0) {
			let at = 0;
			for (;;) {
				let child = 2 * at + 1;
				if (child >= heap.length) break;
				if (before(heap[child + 1], heap[child])) child++;
				if (!before(heap[child], last)) break;
				heap[at] = heap[child] as typeof last;
				at = child;
			}
			heap[at] = last;
		}
		this.now = first.at;
		await first.run();
	}
}

interface Due {
	at: number;
	n: number;
}

const before = (a: Due | undefined, b: Due | undefined): boolean =>
	a !== undefined &&
	b !== undefined &&
	(a.at < b.at || (a.at === b.at && a.n < b.n));
