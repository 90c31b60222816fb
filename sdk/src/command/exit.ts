/** Exit codes: one for each kind of failure, with a message and a next step for the user. */
import {
	APIError,
	ConnectionError,
	JobError,
	MiniGPT4Error,
	StreamError,
	TimeoutError,
} from "../index.ts";
import { money } from "./format.ts";

export const EXIT = {
	ok: 0,
	/** The job did not succeed, or the API refused the request. */
	failed: 1,
	/** Wrong arguments, or a file that cannot be read. */
	usage: 2,
	/** The API key is missing, or may not do this. */
	authentication: 3,
	/** Not enough credit. */
	credit: 4,
	/** The API cannot be reached. */
	network: 5,
	/** Too many requests, or the API is overloaded. A later try may succeed. */
	later: 6,
	/** Ctrl-C. */
	interrupted: 130,
} as const;

/** The command line is wrong. The command has sent nothing. */
export class UsageError extends Error {
	/** The command whose help the message points to. */
	command: string | undefined;

	constructor(message: string, command?: string) {
		super(message);
		this.command = command;
	}
}

export class Interrupted extends Error {}

export interface FailureReport {
	exit: number;
	code: string;
	message: string;
	/** What the user can do about it. */
	next: string | null;
	requestId: string | null;
	field: string | null;
}

/** Translates an error for the user. The message never has a stack trace. */
export function reportOf(error: unknown, baseURL: string): FailureReport {
	const report = (part: Partial<FailureReport>): FailureReport => ({
		exit: EXIT.failed,
		code: "failed",
		message: (error as Error | undefined)?.message ?? String(error),
		next: null,
		requestId: null,
		field: null,
		...part,
	});
	if (error instanceof UsageError)
		return report({
			exit: EXIT.usage,
			code: "usage",
			next: `For help: minigpt4 ${error.command ? `${error.command} ` : ""}--help`,
		});
	if (error instanceof Interrupted)
		return report({ exit: EXIT.interrupted, code: "interrupted" });
	if (error instanceof JobError) {
		const { price, id } = error.job;
		return report({
			code: error.code,
			field: error.field ?? null,
			next: [
				price ? `It cost ${money(price)}.` : "It cost nothing.",
				`To see the job: minigpt4 jobs get ${id}`,
			].join(" "),
		});
	}
	if (error instanceof APIError)
		return report({
			code: error.code,
			requestId: error.requestId,
			field: error.field ?? null,
			...apiReport(error, baseURL),
		});
	if (error instanceof ConnectionError || error instanceof TimeoutError)
		return report({
			exit: EXIT.network,
			code: error.code,
			message: [
				error.message.replace(/\.$/, ""),
				error instanceof TimeoutError ? `: ${baseURL}` : "",
				causeOf(error),
			].join(""),
			next: [
				"Is the API running? `npm start` serves it at http://127.0.0.1:8787.",
				"For another address, set MINIGPT4_BASE_URL or --base-url.",
			].join(" "),
		});
	if (error instanceof StreamError)
		return report({ exit: EXIT.network, code: error.code });
	if (error instanceof MiniGPT4Error)
		return error.code === "missing_key"
			? report({ exit: EXIT.authentication, ...missingKey(baseURL) })
			: report({ code: error.code });
	return report({});
}

/** Tells the user where to get a key. */
export const missingKey = (baseURL: string) => ({
	code: "missing_key",
	message: "There is no API key: MINIGPT4_API_KEY is not set.",
	next: isLocal(baseURL)
		? "`npm start` prints one with credit. Then: export MINIGPT4_API_KEY=mg_live_…"
		: [
				"The API's operator creates an account's first key (POST /admin/accounts/{id}/keys);",
				"with that one, `minigpt4 keys create NAME` creates more.",
				"Then: export MINIGPT4_API_KEY=mg_live_…",
			].join(" "),
});

function apiReport(error: APIError, baseURL: string): Partial<FailureReport> {
	switch (error.status) {
		case 401:
			return {
				exit: EXIT.authentication,
				next: [
					`The key is from MINIGPT4_API_KEY, and was sent to ${baseURL}.`,
					...(isLocal(baseURL)
						? ["`npm start` prints the key that works here."]
						: []),
				].join(" "),
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
						next: [
							`Is ${baseURL} the MiniGPT-4 API?`,
							"The address is from MINIGPT4_BASE_URL or --base-url.",
						].join(" "),
					};
	}
}

const isLocal = (baseURL: string): boolean =>
	/^https?:\/\/(127\.|localhost|\[::1\])/.test(baseURL);

/** Returns the system's error code in brackets, such as `(ECONNREFUSED)`. */
function causeOf(error: Error): string {
	let cause = error.cause as { code?: unknown; cause?: unknown } | undefined;
	for (; cause; cause = cause.cause as typeof cause)
		if (/^E[A-Z]+$|^ENOTFOUND$/.test(String(cause.code)))
			return ` (${cause.code})`;
	return "";
}
