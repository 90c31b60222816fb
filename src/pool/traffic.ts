/**
 * When jobs came in the last two hours, and from which accounts: the jobs to come are forecast from
 * that.
 */

/** Jobs are counted in bins of this length … */
const BIN_MS = 30_000;
/** … for two hours. */
const BINS = 240;
/** In an account's share, a job of this age counts a third, and an older one less. */
const SHARE_MS = 300_000;
/**
 * The share of all bins that the future is drawn from: those whose traffic was nearest to today's.
 */
const ALIKE = 0.25;
/** With fewer bins than this, some futures are drawn from a prior. */
const ENOUGH_BINS = 40;
/** Beyond this many accounts, those that went quiet are dropped. */
const MAX_ACCOUNTS = 1_000;

/** How many jobs come within `ms` milliseconds. */
export type Arrivals = (ms: number) => number;

export class Traffic {
	/** The jobs of each bin, the oldest first; the last bin is still open. */
	readonly #bins: number[] = [];
	/** When the last bin began. */
	#lastBinAt = 0;
	readonly #accounts = new Map<string, { jobs: number; at: number }>();

	record(account: string, now: number): void {
		this.#openBins(now);
		this.#bins.push((this.#bins.pop() ?? 0) + 1);
		this.#accounts.set(account, {
			jobs: this.#jobs(account, now) + 1,
			at: now,
		});
		if (this.#accounts.size > MAX_ACCOUNTS) this.shares(now);
	}

	/** Each account's share of the jobs to come. */
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
	 * Futures drawn from the past: each continues like the bins after one whose traffic was like
	 * today's.
	 * @param next numbers in [0, 1)
	 */
	futures(count: number, now: number, next: () => number): Arrivals[] {
		this.#openBins(now);
		const bins = this.#bins;
		const last = bins.length - 1;
		const elapsed = (now - this.#lastBinAt) / BIN_MS;
		// The open bin, and as much of the one before as makes a whole one.
		const level = (bins[last] ?? 0) + (1 - elapsed) * (bins[last - 1] ?? 0);
		const starts = Array.from(bins.slice(0, -1), (_, n) => n).sort(
			(a, b) =>
				Math.abs((bins[a] as number) - level) -
				Math.abs((bins[b] as number) - level),
		);
		const alike = Math.max(1, Math.ceil(starts.length * ALIKE));
		return Array.from({ length: count }, () => {
			const usePrior = next() >= starts.length / ENOUGH_BINS;
			const start = starts[Math.floor(next() * alike)];
			if (usePrior || start === undefined) return prior(level, next());
			return path(bins.slice(0, -1), start + 1);
		});
	}

	#jobs(account: string, now: number): number {
		const last = this.#accounts.get(account);
		return last ? last.jobs * Math.exp((last.at - now) / SHARE_MS) : 0;
	}

	/** Opens the bins up to now. */
	#openBins(now: number): void {
		if (this.#bins.length === 0 || now - this.#lastBinAt > BINS * BIN_MS) {
			this.#bins.splice(0, this.#bins.length, 0);
			this.#lastBinAt = now;
		}
		for (; now - this.#lastBinAt >= BIN_MS; this.#lastBinAt += BIN_MS)
			this.#bins.push(0);
		this.#bins.splice(0, this.#bins.length - BINS - 1);
	}
}

/** Today's traffic goes on for two minutes or so, and then at a third of its rate. */
function prior(level: number, u: number): Arrivals {
	const until = -120_000 * Math.log(1 - u);
	return (ms) =>
		(level * (Math.min(ms, until) + Math.max(0, ms - until) / 3)) / BIN_MS;
}

/** Traffic like that of the bins from `start` on, and round again. */
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
