/**
 * The one alarm of an object. Setting it is a durable write, and each write is paid: it is set as
 * rarely as possible.
 *
 * Runs in every object, as all of durable/ does.
 */

/** An alarm that fires this much early is left as it is. */
const WORTH_MS = 1_000;
/**
 * An alarm that is this late does not come any more: the platform gives up after six failed
 * retries.
 */
const DROPPED_MS = 10_000;

export class Alarm {
	readonly #storage: DurableObjectStorage;
	readonly #clock: () => number;
	/** When it fires; null where none is set. */
	#at: number | null = null;
	/** From when on it counts as late: when it should fire, or when it was set, if that is later. */
	#expected = 0;

	/** @param clock milliseconds since 1970 */
	constructor(storage: DurableObjectStorage, clock: () => number) {
		this.#storage = storage;
		this.#clock = clock;
	}

	/**
	 * Reads what storage has. Once for each instance, in its constructor: from then on nothing but
	 * this object sets the alarm, and nothing but its firing, or the platform's giving up, ends it.
	 */
	async load(): Promise<void> {
		this.#at = await this.#storage.getAlarm();
		this.#expected = this.#at ?? 0;
	}

	/** To be called first of all when it fires. */
	onFired(): void {
		this.#at = null;
	}

	/**
	 * To be called whenever the object is called: sets an alarm again that the platform dropped.
	 * Mostly it writes nothing.
	 */
	renew(): void {
		if (this.#at !== null && this.#clock() - this.#expected >= DROPPED_MS)
			// With its old time: a later one would push away an alarm that is late and still comes.
			this.#set(this.#at);
	}

	/**
	 * Sets the alarm, unless it fires by then anyway. Never moves it back: an alarm that is pushed
	 * away never fires.
	 */
	bringForward(at: number): void {
		if (this.#at === null || at < this.#at) this.#set(at);
		else this.renew();
	}

	/**
	 * Sets the alarm, also to a later time. Only for an object that nothing needs to keep in memory
	 * until then.
	 */
	postpone(at: number): void {
		if (this.#at === null || this.#at < at - WORTH_MS) this.#set(at);
	}

	clear(): void {
		if (this.#at === null) return;
		this.#at = null;
		void this.#storage.deleteAlarm();
	}

	/** Not awaited: the platform commits it with the writes of the same turn. */
	#set(at: number): void {
		this.#at = at;
		this.#expected = Math.max(at, this.#clock());
		void this.#storage.setAlarm(at);
	}
}
