/** Tokens of one attempt on their way into the log. */
import type { Batch } from "./log.ts";
import { scan } from "./stop.ts";

/** Ids may be missing, see `BackendEvent`; `tokens` counts them all the same. */
type Tokens = Pick<Batch, "ids" | "tokens" | "text">;

export class PendingBatch {
	readonly #stops: readonly string[];
	#ids: number[] = [];
	#tokens = 0;
	#shown = "";
	#held: string;

	/** @param held tail of the log's text that waits, see `EventLog.held` */
	constructor(stops: readonly string[], held: string) {
		this.#stops = stops;
		this.#held = held;
	}

	/** @returns whether a stop string is complete */
	add({ ids, tokens, text }: Tokens): boolean {
		const { shown, held, hit } = scan(this.#stops, this.#held, text);
		this.#ids.push(...ids);
		this.#tokens += tokens;
		this.#shown += shown;
		this.#held = held;
		return hit;
	}

	/**
	 * What can be shown now. Tokens whose text all waits stay here: nobody saw them, a later attempt may draw them again.
	 * Text without a token stays too: it is the end of an unfinished character, which a later attempt would release again.
	 */
	take(): Batch | null {
		return this.#shown === "" || this.#tokens === 0
			? null
			: this.#drain(this.#held);
	}

	/** The end of the answer: what waited is no stop string after all. */
	rest(): Batch | null {
		this.#shown += this.#held;
		this.#held = "";
		return this.#tokens === 0 && this.#shown === "" ? null : this.#drain("");
	}

	#drain(held: string): Batch {
		const { ids, tokens } = { ids: this.#ids, tokens: this.#tokens };
		const batch = { text: this.#shown, ids, tokens, held };
		this.#ids = [];
		this.#tokens = 0;
		this.#shown = "";
		return batch;
	}
}
