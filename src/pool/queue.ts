/**
 * The order in which waiting jobs get slots. Resumed jobs come first. The others follow start-time
 * fair queueing over accounts, and first come, first served within an account: each account's next
 * job has a tag in virtual time, one share after its last; the least tag is next, the older job on
 * a tie. An account that begins to wait starts at the queue's virtual time, so that its first job
 * is before all but one of any other account's jobs. Virtual time advances with each grant, or ever
 * new accounts would starve the old ones.
 */

/**
 * One job's worth of virtual time. It divides by 1 to 16 without a remainder, so that no sum is
 * rounded.
 */
const SHARE = 720_720;

export interface QueueEntry {
	/** Order of arrival. */
	place: number;
	job: string;
	account: string;
	resumed: boolean;
}

/** How many jobs another account may still send that would be served before a given one. */
export interface Headroom {
	account: string;
	jobs: number;
}

/** An account's jobs, first come first; never empty. */
interface Line<E> {
	/** Of its first job; each further job is one share later. */
	tag: number;
	jobs: E[];
}

export class FairQueue<E extends QueueEntry> {
	readonly #byJob = new Map<string, E>();
	readonly #resumed: E[] = [];
	readonly #lines = new Map<string, Line<E>>();
	/** The tag of the next job of an account without one in the queue, if that is later than now. */
	readonly #nextTags = new Map<string, number>();
	/**
	 * Virtual time. Less than a share after the least tag in the queue: no account's second job is
	 * before one that comes now.
	 */
	#virtualNow = 0;

	get size(): number {
		return this.#byJob.size;
	}

	get(job: string): E | null {
		return this.#byJob.get(job) ?? null;
	}

	/** The job must not be in the queue. */
	enqueue(entry: E): void {
		const { job, account } = entry;
		this.#byJob.set(job, entry);
		if (entry.resumed) {
			this.#resumed.push(entry);
			return;
		}
		const line = this.#lines.get(account);
		if (line) line.jobs.push(entry);
		else {
			this.#lines.set(account, { tag: this.#nextTag(account), jobs: [entry] });
			this.#nextTags.delete(account);
		}
	}

	/**
	 * Takes out the next job that `fits`. One that does not keeps its turn, and its account's later
	 * jobs stay behind it.
	 */
	dequeue(fits: (entry: E) => boolean = () => true): E | null {
		const n = this.#resumed.findIndex(fits);
		const resumed = n >= 0 ? this.#resumed[n] : undefined;
		if (resumed) {
			this.#resumed.splice(n, 1);
			this.#byJob.delete(resumed.job);
			return resumed;
		}
		let next: [E, Line<E>] | null = null;
		for (const line of this.#lines.values()) {
			const job = line.jobs[0] as E;
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

	/** Takes out a job that waits no more. It costs its account no turn. */
	remove(job: string): E | null {
		const entry = this.#byJob.get(job);
		if (!entry) return null;
		this.#byJob.delete(job);
		const line = this.#lines.get(entry.account);
		const jobs = entry.resumed ? this.#resumed : line?.jobs;
		jobs?.splice(jobs.indexOf(entry), 1);
		if (line?.jobs.length === 0) this.#close(entry.account, line);
		return entry;
	}

	/**
	 * How many jobs are served up to and including this one if none comes any more; 0 for a job that
	 * is not in the queue.
	 */
	position(job: string): number {
		const entry = this.#byJob.get(job);
		if (!entry) return 0;
		if (entry.resumed) return this.#resumed.indexOf(entry) + 1;
		const line = this.#lines.get(entry.account) as Line<E>;
		const index = line.jobs.indexOf(entry);
		const tag = line.tag + index * SHARE;
		let ahead = this.#resumed.length + index;
		for (const other of this.#lines.values()) {
			if (other === line) continue;
			const rounds = Math.max(0, Math.ceil((tag - other.tag) / SHARE));
			const tied = other.jobs[rounds];
			ahead +=
				tied && before(other.tag + rounds * SHARE, tied, tag, entry)
					? rounds + 1
					: Math.min(rounds, other.jobs.length);
		}
		return ahead + 1;
	}

	/**
	 * How many jobs each of these accounts could still send that would be served before this one, at
	 * the present virtual time.
	 */
	headroom(job: string, accounts: Iterable<string>): Headroom[] {
		const entry = this.#byJob.get(job);
		if (!entry || entry.resumed) return [];
		const line = this.#lines.get(entry.account) as Line<E>;
		const tag = line.tag + line.jobs.indexOf(entry) * SHARE;
		const headroom: Headroom[] = [];
		for (const account of accounts) {
			if (account === entry.account) continue;
			const other = this.#lines.get(account);
			const next = other
				? other.tag + other.jobs.length * SHARE
				: this.#nextTag(account);
			const jobs = Math.ceil((tag - next) / SHARE);
			if (jobs > 0) headroom.push({ account, jobs });
		}
		return headroom;
	}

	/** The first jobs in the order in which they are served. */
	order(limit: number): E[] {
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
			order.push(next.jobs[next.index] as E);
			next.index++;
			next.tag += SHARE;
		}
		return order;
	}

	/** All jobs in the queue, in no order. */
	jobs(): Iterable<E> {
		return this.#byJob.values();
	}

	#nextTag(account: string): number {
		return Math.max(this.#virtualNow, this.#nextTags.get(account) ?? 0);
	}

	#close(account: string, { tag }: Line<E>): void {
		this.#lines.delete(account);
		if (tag > this.#virtualNow) this.#nextTags.set(account, tag);
	}

	/**
	 * After a grant of that tag: virtual time advances by a share, divided among the accounts that
	 * wait and one that may come.
	 */
	#advance(tag: number): void {
		let least = Number.POSITIVE_INFINITY;
		for (const line of this.#lines.values()) least = Math.min(least, line.tag);
		const from = Math.max(this.#virtualNow, tag);
		const step = Math.floor(SHARE / (this.#lines.size + 1));
		this.#virtualNow = Math.max(from, Math.min(from + step, least + SHARE - 1));
		for (const [account, later] of this.#nextTags)
			if (later <= this.#virtualNow) this.#nextTags.delete(account);
	}
}

const before = (
	tag: number,
	a: QueueEntry,
	otherTag: number,
	b: QueueEntry,
): boolean => tag < otherTag || (tag === otherTag && a.place < b.place);
