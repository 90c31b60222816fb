import { Account } from "./account.ts";
import { Feed } from "./feed.ts";
import { Jobs } from "./jobs.ts";
import { Keys } from "./keys.ts";
import { Models } from "./models.ts";
import type { Fetch } from "./platform.ts";
import { type CallOptions, Transport } from "./transport.ts";
import { Uploads } from "./uploads.ts";
import { Webhooks } from "./webhooks.ts";

/** With the defaults of every call's limits. */
export interface ClientOptions extends Omit<CallOptions, "signal"> {
	/** `MINIGPT4_API_KEY` of the environment when left out. In a web page, one that is bound to the page's origin. */
	apiKey?: string | undefined;
	/** `MINIGPT4_BASE_URL` of the environment when left out, then `http://127.0.0.1:8787`. */
	baseURL?: string | undefined;
	/** Instead of the platform's own. */
	fetch?: Fetch | undefined;
}

export class MiniGPT4 {
	readonly baseURL: string;
	readonly jobs: Jobs;
	readonly models: Models;
	readonly uploads: Uploads;
	readonly account: Account;
	readonly events: Feed;
	readonly webhooks: Webhooks;
	readonly keys: Keys;

	constructor({ apiKey, baseURL, fetch, ...defaults }: ClientOptions = {}) {
		const transport = new Transport({
			...defaults,
			apiKey: apiKey ?? environment("MINIGPT4_API_KEY"),
			baseURL:
				baseURL ?? environment("MINIGPT4_BASE_URL") ?? "http://127.0.0.1:8787",
			fetch,
		});
		this.baseURL = transport.baseURL;
		this.uploads = new Uploads(transport);
		this.jobs = new Jobs(transport, this.uploads);
		this.models = new Models(transport);
		this.account = new Account(transport);
		this.events = new Feed(transport);
		this.webhooks = new Webhooks(transport);
		this.keys = new Keys(transport);
	}
}

const environment = (name: string): string | undefined =>
	(
		globalThis as {
			process?: { env?: Record<string, string | undefined> };
		}
	).process?.env?.[name] || undefined;
