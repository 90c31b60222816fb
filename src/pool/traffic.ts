/** When jobs came, of late, and whose they were: what is to come will be like some stretch of it. */

/** Jobs are counted in stretches of so long … */
export const BIN_MS = 30_000;
/** … for as long as two hours. */
const BINS = 240;
/** Whose jobs come: those of longer ago than this count a third, and less the longer. */
const SHARE_MS = 300_000;
/** Stretches that began about as busily as it is now, of which the future is drawn. */
const ALIKE = 0.25;
/** Before there are so many stretches, some futures are made up. */
const ENOUGH = 40;
/** More accounts than this are looked through for those that went quiet. */
const ACCOUNTS = 1_000;

/** Jobs that come within so many milliseconds. */
export type Arrivals = (ms: number) => number;

export class Traffic {
	/** Jobs of each bin, the oldest first; the last one is not over yet. */
	readonly #bins: number[] = [];
	/** When the last bin began. */
	#from = 0;
	readonly #accounts = new Map<string, { jobs: number; at: number }>();

	note(account: string, now: number): void {
		this.#turn(now);
		this.#bins.push((this.#bins.pop() ?? 0) + 1);
		this.#accounts.set(account, {
			jobs: this.#jobs(account, now) + 1,
			at: now,
		});
		if (this.#accounts.size > ACCOUNTS) this.shares(now);
	}

	/** Each account's share of what comes. */
	shares(now: number): Map<string, number> {
		const shares = new Map<string, number>();
		let sum = 0;
		for (const account of this.#accounts.keys()) {
			const jobs = this.#jobs(account, now);
			if (jobs < 0.01) this.#accounts.delete(account);
			else {
				shares.set(account, jobs);
				sum += jobs;
			}
		}
		for (const [account, jobs] of shares) shares.set(account, jobs / sum);
		return shares;
	}

	/**
	 * Futures drawn from the past: each goes on like a stretch that began about as busily as it is now.
	 * @param next numbers in [0, 1)
	 */
	futures(count: number, now: number, next: () => number): Arrivals[] {
		this.#turn(now);
		const bins = this.#bins;
		const last = bins.length - 1;
		const part = (now - this.#from) / BIN_MS;
		// The last bin and as much of the one before as makes a whole one.
		const level = (bins[last] ?? 0) + (1 - part) * (bins[last - 1] ?? 0);
		const starts = Array.from(bins.slice(0, -1), (_, n) => n).sort(
			(a, b) =>
				Math.abs((bins[a] as number) - level) -
				Math.abs((bins[b] as number) - level),
		);
		const alike = Math.max(1, Math.ceil(starts.length * ALIKE));
		return Array.from({ length: count }, () => {
			const unknown = next() >= starts.length / ENOUGH;
			const start = starts[Math.floor(next() * alike)];
			if (unknown || start === undefined) return prior(level, next());
			return path(bins.slice(0, -1), start + 1);
		});
	}

	#jobs(account: string, now: number): number {
		const known = this.#accounts.get(account);
		return known ? known.jobs * Math.exp((known.at - now) / SHARE_MS) : 0;
	}

	/** Begins the bins that time has come to. */
	#turn(now: number): void {
		if (this.#bins.length === 0 || now - this.#from > BINS * BIN_MS) {
			this.#bins.splice(0, this.#bins.length, 0);
			this.#from = now;
		}
		for (; now - this.#from >= BIN_MS; this.#from += BIN_MS) this.#bins.push(0);
		this.#bins.splice(0, this.#bins.length - BINS - 1);
	}
}

/** What is busy now goes on for two minutes or so, and then at a third of it. */
function prior(level: number, u: number): Arrivals {
	const until = -120_000 * Math.log(1 - u);
	return (ms) =>
		(level * (Math.min(ms, until) + Math.max(0, ms - until) / 3)) / BIN_MS;
}

/** Jobs by time, through the bins from `start` on and round again. */
function path(bins: readonly number[], start: number): Arrivals {
	const sums = [0];
	for (let n = 0; n < bins.length; n++)
		sums.push(
			(sums[n] as number) + (bins[(start + n) % bins.length] as number),
		);
	const round = sums[bins.length] as number;
	return (ms) => {
		const at = ms / BIN_MS;
		const rounds = Math.floor(at / bins.length);
		const n = Math.floor(at) % bins.length;
		const within =
			(sums[n] as number) +
			((sums[n + 1] as number) - (sums[n] as number)) * (at % 1);
		return rounds * round + within;
	};
}
