/**
 * The order in which waiting jobs get slots: resumed jobs first of all; then start-time fair queueing over accounts, first come,
 * first served inside an account. Each account's next job has a tag in virtual time, one share after its last; the least tag is
 * next, the older job on a tie. An account that begins to wait does so at the pool's virtual time, so that it is before all but one
 * of anybody else's jobs. Virtual time goes on with every grant, or ever new accounts would starve the old ones.
 */

/** One job's worth of virtual time. Whole numbers, so that no sum is rounded. */
const SHARE = 720_720;

export interface QueueEntry {
	/** Order of arrival. */
	place: number;
	job: string;
	account: string;
	resumed: boolean;
}

/** Another account's jobs that are yet to come, and would still be served before a given one. */
export interface Headroom {
	account: string;
	jobs: number;
}

/** An account's jobs, first come first; never empty. */
interface Line<W> {
	/** Of its first job; each further job is one share later. */
	tag: number;
	jobs: W[];
}

export class FairQueue<W extends QueueEntry> {
	readonly #byJob = new Map<string, W>();
	readonly #resumed: W[] = [];
	readonly #lines = new Map<string, Line<W>>();
	/** Where an account that does not wait would go on, if that is later than now. */
	readonly #later = new Map<string, number>();
	/** Virtual. Less than a share after the first tag that waits: nobody's second job is before one that comes now. */
	#now = 0;

	get size(): number {
		return this.#byJob.size;
	}

	get(job: string): W | null {
		return this.#byJob.get(job) ?? null;
	}

	/** The job must not wait yet. */
	push(waiter: W): void {
		const { job, account } = waiter;
		this.#byJob.set(job, waiter);
		if (waiter.resumed) {
			this.#resumed.push(waiter);
			return;
		}
		const line = this.#lines.get(account);
		if (line) line.jobs.push(waiter);
		else {
			this.#lines.set(account, { tag: this.#tagOf(account), jobs: [waiter] });
			this.#later.delete(account);
		}
	}

	/** Takes out the next job that `fits`; one that does not keeps its turn, and its account's later jobs behind it. */
	take(fits: (waiter: W) => boolean = () => true): W | null {
		const n = this.#resumed.findIndex(fits);
		const resumed = n >= 0 ? this.#resumed[n] : undefined;
		if (resumed) {
			this.#resumed.splice(n, 1);
			this.#byJob.delete(resumed.job);
			return resumed;
		}
		let next: [W, Line<W>] | null = null;
		for (const line of this.#lines.values()) {
			const job = line.jobs[0] as W;
			if (!next || before(line.tag, job, next[1].tag, next[0]))
				if (fits(job)) next = [job, line];
		}
		if (!next) return null;
		const [taken, line] = next;
		const { tag } = line;
		this.#byJob.delete(taken.job);
		line.jobs.shift();
		line.tag += SHARE;
		if (line.jobs.length === 0) this.#close(taken.account, line);
		this.#advance(tag);
		return taken;
	}

	/** A job that waits no more. Its account is not charged for it. */
	remove(job: string): W | null {
		const waiter = this.#byJob.get(job);
		if (!waiter) return null;
		this.#byJob.delete(job);
		const line = this.#lines.get(waiter.account);
		const jobs = waiter.resumed ? this.#resumed : line?.jobs;
		jobs?.splice(jobs.indexOf(waiter), 1);
		if (line?.jobs.length === 0) this.#close(waiter.account, line);
		return waiter;
	}

	/** How many jobs would be served up to and including this one if none came any more; 0 for one that does not wait. */
	position(job: string): number {
		const waiter = this.#byJob.get(job);
		if (!waiter) return 0;
		if (waiter.resumed) return this.#resumed.indexOf(waiter) + 1;
		const own = this.#lines.get(waiter.account) as Line<W>;
		const index = own.jobs.indexOf(waiter);
		const tag = own.tag + index * SHARE;
		let ahead = this.#resumed.length + index;
		for (const line of this.#lines.values()) {
			if (line === own) continue;
			const rounds = Math.max(0, Math.ceil((tag - line.tag) / SHARE));
			const tied = line.jobs[rounds];
			ahead +=
				tied && before(line.tag + rounds * SHARE, tied, tag, waiter)
					? rounds + 1
					: Math.min(rounds, line.jobs.length);
		}
		return ahead + 1;
	}

	/** For each of these accounts, how many jobs it could still send that would be served before this one, as virtual time is now. */
	rooms(job: string, accounts: Iterable<string>): Headroom[] {
		const waiter = this.#byJob.get(job);
		if (!waiter || waiter.resumed) return [];
		const own = this.#lines.get(waiter.account) as Line<W>;
		const tag = own.tag + own.jobs.indexOf(waiter) * SHARE;
		const rooms: Headroom[] = [];
		for (const account of accounts) {
			if (account === waiter.account) continue;
			const line = this.#lines.get(account);
			const next = line
				? line.tag + line.jobs.length * SHARE
				: this.#tagOf(account);
			const jobs = Math.ceil((tag - next) / SHARE);
			if (jobs > 0) rooms.push({ account, jobs });
		}
		return rooms;
	}

	/** The first jobs in the order in which they would be served. */
	order(limit: number): W[] {
		const order = this.#resumed.slice(0, limit);
		const heads = Array.from(this.#lines.values(), ({ tag, jobs }) => ({
			tag,
			jobs,
			index: 0,
		}));
		while (order.length < limit) {
			let next: (typeof heads)[number] | null = null;
			for (const head of heads) {
				const job = head.jobs[head.index];
				if (!job) continue;
				const best = next?.jobs[next.index];
				if (!next || !best || before(head.tag, job, next.tag, best))
					next = head;
			}
			if (!next) break;
			order.push(next.jobs[next.index] as W);
			next.index++;
			next.tag += SHARE;
		}
		return order;
	}

	/** All that wait, in no order. */
	all(): Iterable<W> {
		return this.#byJob.values();
	}

	#tagOf(account: string): number {
		return Math.max(this.#now, this.#later.get(account) ?? 0);
	}

	#close(account: string, { tag }: Line<W>): void {
		this.#lines.delete(account);
		if (tag > this.#now) this.#later.set(account, tag);
	}

	/** After a grant of that tag: on by the share of one of those who wait and one who may come. */
	#advance(tag: number): void {
		let least = Number.POSITIVE_INFINITY;
		for (const line of this.#lines.values()) least = Math.min(least, line.tag);
		const from = Math.max(this.#now, tag);
		const step = Math.floor(SHARE / (this.#lines.size + 1));
		this.#now = Math.max(from, Math.min(from + step, least + SHARE - 1));
		for (const [account, later] of this.#later)
			if (later <= this.#now) this.#later.delete(account);
	}
}

const before = (
	tag: number,
	a: QueueEntry,
	otherTag: number,
	b: QueueEntry,
): boolean => tag < otherTag || (tag === otherTag && a.place < b.place);
