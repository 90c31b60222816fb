/** The tokens of one attempt that are not in the log yet. */
import type { Batch } from "./log.ts";
import { scan } from "./stop.ts";

/**
 * `ids` is empty where the backend reports none, see `BackendEvent`; `tokens` is always the count.
 */
type TextTokens = Pick<Batch, "ids" | "tokens" | "text">;

export class PendingBatch {
	readonly #stops: readonly string[];
	#ids: number[] = [];
	#tokens = 0;
	#shown = "";
	#withheld: string;

	/** @param withheld the end of the log's text that is withheld, see `Written.withheld` */
	constructor(stops: readonly string[], withheld: string) {
		this.#stops = stops;
		this.#withheld = withheld;
	}

	/** Adds tokens. @returns whether a stop string is complete */
	add({ ids, tokens, text }: TextTokens): boolean {
		const { shown, withheld, hit } = scan(this.#stops, this.#withheld, text);
		this.#ids.push(...ids);
		this.#tokens += tokens;
		this.#shown += shown;
		this.#withheld = withheld;
		return hit;
	}

	/**
	 * Takes what can be shown now. Tokens whose whole text is withheld stay here: no reader saw
	 * them, so a later attempt may sample them again. Text without a token stays too: it ends an
	 * incomplete character, which a later attempt would emit again.
	 */
	take(): Batch | null {
		return this.#shown === "" || this.#tokens === 0
			? null
			: this.#drain(this.#withheld);
	}

	/** Takes the rest at the end of the answer, where the withheld text is no stop string. */
	rest(): Batch | null {
		this.#shown += this.#withheld;
		this.#withheld = "";
		return this.#tokens === 0 && this.#shown === "" ? null : this.#drain("");
	}

	#drain(withheld: string): Batch {
		const batch = {
			text: this.#shown,
			ids: this.#ids,
			tokens: this.#tokens,
			withheld,
		};
		this.#ids = [];
		this.#tokens = 0;
		this.#shown = "";
		return batch;
	}
}
