/**
 * Changes a job: decides each change, writes it with the alarm in one transaction, then measures it
 * and shows it to the readers.
 */
import { measure } from "../metrics/measure.ts";
import type { JobContext } from "./context.ts";
import { alarmAt } from "./due.ts";
import type { Batch } from "./log.ts";
import { type JobSnapshot, measures } from "./measures.ts";
import type { JobRecord } from "./record.ts";
import { isOpen, type JobChange, transition } from "./state.ts";

export class JobStore {
	readonly record: JobRecord;
	readonly #context: JobContext;

	constructor(record: JobRecord, context: JobContext) {
		this.record = record;
		this.#context = context;
	}

	/** Whether the job can still end in more than one way. */
	get isOpen(): boolean {
		return isOpen(this.record.state);
	}

	/**
	 * Applies a change.
	 * @param rest the last tokens of an answer that is whole
	 * @param digest SHA-256 of the whole text, which closes the log
	 * @returns false where the change comes too late or too early, and changes nothing
	 */
	change(
		change: JobChange,
		rest: Batch | null = null,
		digest: string | null = null,
	): boolean {
		const { storage, clock } = this.#context;
		const next = transition(this.record.state, change, clock());
		if (!next) return false;
		const before = this.#snapshot();
		storage.write(() => {
			this.record.apply(next, rest, digest);
			this.rearm();
		});
		this.#measure(before, change);
		this.show();
		return true;
	}

	/**
	 * Writes tokens of the attempt in progress and resolves when they are durable and shown. Tokens
	 * of an attempt that is over are dropped.
	 */
	async append(batch: Batch): Promise<void> {
		if (this.record.state.phase !== "running") return;
		const before = this.#snapshot();
		this.#context.storage.write(() => this.record.append(batch));
		this.#measure(before, null);
		await this.#publish();
	}

	/** The backend began a run that a later attempt can resume. */
	begun(run: string): void {
		this.#context.storage.write(() => this.record.begun(run));
	}

	/**
	 * Shows readers what is in the log. Nobody waits for it: a storage that cannot sync resets the
	 * object.
	 */
	show(): void {
		this.#publish().catch(() => {});
	}

	/** Sets the alarm for what is due next. */
	rearm(): void {
		const { alarm, clock } = this.#context;
		const next = alarmAt(this.record.state, clock());
		if (next === null) alarm.clear();
		else alarm.bringForward(next);
	}

	#publish(): Promise<void> {
		const { readers, ctx } = this.#context;
		return readers.publish(ctx.storage, this.record.log);
	}

	#snapshot(): JobSnapshot {
		const { state, log } = this.record;
		return { state, tokens: log.tokens };
	}

	#measure(before: JobSnapshot, change: JobChange | null): void {
		const { env, ctx, clock } = this.#context;
		const { spec } = this.record;
		const after = this.#snapshot();
		measure(env, ctx, measures(spec, before, after, change, clock()));
	}
}
