/** A job's record on its way: each change is decided and written in one transaction, with its alarm; then measured and shown. */

import type { Alarm } from "../durable/alarm.ts";
import type { ObjectStorage } from "../durable/storage.ts";
import { measure } from "../metrics/measure.ts";
import type { Readers } from "../stream/readers.ts";
import { alarmAt } from "./due.ts";
import type { Batch } from "./log.ts";
import { type JobSnapshot, measures } from "./measures.ts";
import type { JobRecord } from "./record.ts";
import { isOpen, type JobChange, transition } from "./state.ts";

/** What of its object a job lives by. */
export interface StoreContext {
	ctx: DurableObjectState;
	env: Env;
	store: ObjectStorage;
	alarm: Alarm;
	readers: Readers;
	/** Milliseconds since 1970. */
	clock: () => number;
}

export class JobStore {
	readonly record: JobRecord;
	readonly #at: StoreContext;

	constructor(record: JobRecord, surroundings: StoreContext) {
		this.record = record;
		this.#at = surroundings;
	}

	/** Whether how it ends is still open. */
	get isOpen(): boolean {
		return isOpen(this.record.state);
	}

	/**
	 * @param rest of an answer that is whole
	 * @param digest SHA-256 of the whole text, which closes the log
	 * @returns false where the change came too late or too early
	 */
	change(
		change: JobChange,
		rest: Batch | null = null,
		digest: string | null = null,
	): boolean {
		const decision = transition(this.record.state, change, this.#at.clock());
		if (!decision) return false;
		const before = this.#moment();
		this.#at.store.write(() => {
			this.record.apply(decision, rest, digest);
			this.rearm();
		});
		this.#measure(before, change);
		this.show();
		return true;
	}

	/** Tokens of the attempt in progress; resolves when they are durable and shown. Those of one that is over are dropped. */
	async append(batch: Batch): Promise<void> {
		if (this.record.state.phase !== "running") return;
		const before = this.#moment();
		this.#at.store.write(() => this.record.append(batch));
		this.#measure(before, null);
		await this.#publish();
	}

	/** See `BackendEvent`. */
	begun(run: string): void {
		this.#at.store.write(() => this.record.begun(run));
	}

	/** Shows what is in the log. Nobody waits for it: a storage that cannot sync resets the object by itself. */
	show(): void {
		this.#publish().catch(() => {});
	}

	rearm(): void {
		const { alarm, clock } = this.#at;
		const next = alarmAt(this.record.state, clock());
		if (next === null) alarm.clear();
		else alarm.bringForward(next);
	}

	#publish(): Promise<void> {
		return this.#at.readers.publish(this.#at.ctx.storage, this.record.log);
	}

	#moment(): JobSnapshot {
		const { state, log } = this.record;
		return { state, tokens: log.tokens };
	}

	#measure(before: JobSnapshot, change: JobChange | null): void {
		const { env, ctx, clock } = this.#at;
		const { spec } = this.record;
		const after = this.#moment();
		measure(env, ctx, measures(spec, before, after, change, clock()));
	}
}
