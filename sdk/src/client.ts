import { Account } from "./account.ts";
import { Feed } from "./feed.ts";
import { Jobs } from "./jobs.ts";
import { Keys } from "./keys.ts";
import { Ledger } from "./ledger.ts";
import { Models } from "./models.ts";
import type { Fetch } from "./platform.ts";
import { Quotes } from "./quotes.ts";
import { type CallOptions, optionsOf, Transport } from "./transport.ts";
import type { ReceiptKeys } from "./types.ts";
import { Uploads } from "./uploads.ts";
import { Usage } from "./usage.ts";
import { Webhooks } from "./webhooks.ts";

/** How to reach the API, and the default limits of every call. */
export interface ClientOptions extends Omit<CallOptions, "signal"> {
	/**
	 * Defaults to the environment's `MINIGPT4_API_KEY`. A web page uses a key that is bound to the
	 * page's origin, because everybody can read it there.
	 */
	apiKey?: string | undefined;
	/** Defaults to the environment's `MINIGPT4_BASE_URL`, then to `http://127.0.0.1:8787`. */
	baseURL?: string | undefined;
	/** Replaces the platform's own `fetch`. */
	fetch?: Fetch | undefined;
}

/**
 * A client of the MiniGPT-4 API. One instance serves any number of calls at the same time. The
 * examples of its methods use `client`, made as here.
 *
 * @example
 * ```ts
 * import { MiniGPT4 } from "minigpt4";
 *
 * const client = new MiniGPT4({ retryFor: 30_000 });
 * const job = await client.jobs.run({
 * 	images: ["samples/cat.jpg"],
 * 	prompt: "What is in this picture?",
 * 	temperature: 0,
 * });
 * console.log(job.output.text);
 * ```
 */
export class MiniGPT4 {
	/** The API's address, without a slash at its end. */
	readonly baseURL: string;
	/** Questions about images, and their answers. */
	readonly jobs: Jobs;
	/** What questions are going to cost. */
	readonly quotes: Quotes;
	/** The models that the deployment serves. */
	readonly models: Models;
	/** Images that are stored for jobs. */
	readonly uploads: Uploads;
	/** The key's account and its balance. */
	readonly account: Account;
	/** Every movement of the account's money. */
	readonly ledger: Ledger;
	/** What the account used, by day, key, model and task. */
	readonly usage: Usage;
	/** The account's events, in one numbered feed. */
	readonly events: Feed;
	/** Addresses that the API delivers the account's events to. */
	readonly webhooks: Webhooks;
	/** The account's API keys. */
	readonly keys: Keys;
	readonly #transport: Transport;

	constructor({ apiKey, baseURL, fetch, ...defaults }: ClientOptions = {}) {
		const transport = new Transport({
			...defaults,
			apiKey: apiKey ?? environment("MINIGPT4_API_KEY"),
			baseURL:
				baseURL ?? environment("MINIGPT4_BASE_URL") ?? "http://127.0.0.1:8787",
			fetch,
		});
		this.#transport = transport;
		this.baseURL = transport.baseURL;
		this.uploads = new Uploads(transport);
		this.jobs = new Jobs(transport, this.uploads);
		this.quotes = new Quotes(transport, this.uploads);
		this.models = new Models(transport);
		this.account = new Account(transport);
		this.ledger = new Ledger(transport);
		this.usage = new Usage(transport);
		this.events = new Feed(transport);
		this.webhooks = new Webhooks(transport);
		this.keys = new Keys(transport);
	}

	/**
	 * Gets the public keys that verify receipts. Keep them: `receipts.verify` then needs no call.
	 *
	 * @example
	 * ```ts
	 * const { keys } = await client.receiptKeys();
	 * console.log(keys.map(({ kid }) => kid));
	 * ```
	 */
	receiptKeys(options?: CallOptions): Promise<ReceiptKeys> {
		return this.#transport.json({
			...optionsOf(options),
			path: "/.well-known/jwks.json",
		});
	}
}

const environment = (name: string): string | undefined =>
	(
		globalThis as {
			process?: { env?: Record<string, string | undefined> };
		}
	).process?.env?.[name] || undefined;
