/** An alarm is a durable write: one that fires this much early is left as it is. */
const WORTH_MS = 1_000;

/** The alarm of one object. */
export class Alarm {
	readonly #storage: DurableObjectStorage;
	/** When it fires, as far as this instance knows. */
	#at: number | null = null;

	constructor(storage: DurableObjectStorage) {
		this.#storage = storage;
	}

	/** It has fired. */
	fired(): void {
		this.#at = null;
	}

	/** Brings it forward, never back: an alarm that is pushed away keeps nothing alive. */
	by(at: number): void {
		if (this.#at === null || this.#at > at) this.set(at);
	}

	/** Moves it back, where that saves waking for nothing. Only for an object that nothing needs to keep in memory. */
	notBefore(at: number): void {
		if (this.#at === null || this.#at < at - WORTH_MS) this.set(at);
	}

	/** Not awaited: the platform commits it with the writes of the same turn. */
	set(at: number | null): void {
		this.#at = at;
		void (at === null
			? this.#storage.deleteAlarm()
			: this.#storage.setAlarm(at));
	}
}
