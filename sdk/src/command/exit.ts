/** How the command ends: one number for each kind of failure, and what to do next. */
import {
	APIError,
	ConnectionError,
	JobError,
	MiniGPT4Error,
	StreamError,
	TimeoutError,
} from "../index.ts";
import { money } from "./words.ts";

export const EXIT = {
	ok: 0,
	/** The job did not succeed, or the API refused the request. */
	failed: 1,
	/** Wrong arguments, or a file that cannot be read. */
	usage: 2,
	/** No key, or one that may not do this. */
	authentication: 3,
	/** Not enough credit. */
	credit: 4,
	/** The API cannot be reached. */
	network: 5,
	/** Too many requests, or overloaded: worth another try later. */
	later: 6,
	/** Ctrl-C. */
	interrupted: 130,
} as const;

/** What the user got wrong. Nothing was sent. */
export class UsageError extends Error {
	/** The command whose help says more. */
	command: string | undefined;

	constructor(message: string, command?: string) {
		super(message);
		this.command = command;
	}
}

export class Interrupted extends Error {}

export interface Ending {
	exit: number;
	code: string;
	message: string;
	/** What to do about it. */
	next: string | null;
	requestId: string | null;
	field: string | null;
}

/** What a failure means to the user. Never a stack trace. */
export function endingOf(error: unknown, baseURL: string): Ending {
	const ending = (part: Partial<Ending>): Ending => ({
		exit: EXIT.failed,
		code: "failed",
		message: (error as Error | undefined)?.message ?? String(error),
		next: null,
		requestId: null,
		field: null,
		...part,
	});
	if (error instanceof UsageError)
		return ending({
			exit: EXIT.usage,
			code: "usage",
			next: `minigpt4 ${error.command ? `${error.command} ` : ""}--help shows how it is used.`,
		});
	if (error instanceof Interrupted)
		return ending({ exit: EXIT.interrupted, code: "interrupted" });
	if (error instanceof JobError) {
		const { price, id } = error.job;
		return ending({
			code: error.code,
			field: error.field ?? null,
			next: `${price ? `It cost ${money(price)}.` : "It cost nothing."} More: minigpt4 jobs get ${id}`,
		});
	}
	if (error instanceof APIError)
		return ending({
			code: error.code,
			requestId: error.requestId,
			field: error.field ?? null,
			...apiEnding(error, baseURL),
		});
	if (error instanceof ConnectionError || error instanceof TimeoutError)
		return ending({
			exit: EXIT.network,
			code: error.code,
			message: `${error.message.replace(/\.$/, "")}${error instanceof TimeoutError ? `: ${baseURL}` : ""}${causeOf(error)}`,
			next: "Is it running? `npm start` serves it at http://127.0.0.1:8787; another address goes into MINIGPT4_BASE_URL or --base-url.",
		});
	if (error instanceof StreamError)
		return ending({ exit: EXIT.network, code: error.code });
	if (error instanceof MiniGPT4Error)
		return error.code === "missing_key"
			? ending({ exit: EXIT.authentication, ...noKey(baseURL) })
			: ending({ code: error.code });
	return ending({});
}

/** Says exactly where a key comes from. */
export const noKey = (baseURL: string) => ({
	code: "missing_key",
	message: "There is no API key: MINIGPT4_API_KEY is not set.",
	next: local(baseURL)
		? "`npm start` prints one with credit. Then: export MINIGPT4_API_KEY=mg_live_…"
		: "Who runs the API makes the first one (POST /admin/accounts/{id}/keys); who has one makes more with `minigpt4 keys create NAME`. Then: export MINIGPT4_API_KEY=mg_live_…",
});

function apiEnding(error: APIError, baseURL: string): Partial<Ending> {
	switch (error.status) {
		case 401:
			return {
				exit: EXIT.authentication,
				next: `The key comes from MINIGPT4_API_KEY and was sent to ${baseURL}.${local(baseURL) ? " `npm start` prints the one that works here." : ""}`,
			};
		case 403:
			return { exit: EXIT.authentication };
		case 402:
			return {
				exit: EXIT.credit,
				next: "`minigpt4 balance` shows what is left.",
			};
		case 429:
		case 503:
			return { exit: EXIT.later };
		default:
			return error.problem
				? {}
				: {
						next: `Is ${baseURL} the MiniGPT-4 API? The address comes from MINIGPT4_BASE_URL or --base-url.`,
					};
	}
}

const local = (baseURL: string): boolean =>
	/^https?:\/\/(127\.|localhost|\[::1\])/.test(baseURL);

/** What the system says of it, in brackets: `(ECONNREFUSED)`. */
function causeOf(error: Error): string {
	let cause = error.cause as { code?: unknown; cause?: unknown } | undefined;
	for (; cause; cause = cause.cause as typeof cause)
		if (/^E[A-Z]+$|^ENOTFOUND$/.test(String(cause.code)))
			return ` (${cause.code})`;
	return "";
}
