/** Shows a job's answer while the model writes it, and cancels the job on Ctrl-C. */
import {
	APIError,
	type Job,
	JobError,
	type JobStream,
	NotFoundError,
} from "../index.ts";
import type { Context } from "./command.ts";
import { Interrupted } from "./exit.ts";
import { duration, money, plural } from "./format.ts";
import { sanitize, WordWrapper } from "./terminal.ts";

const FRAMES = [..."⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"];

/**
 * Shows the answer as it arrives or, with --json, the job once it has ended.
 *
 * @throws JobError, StreamError, APIError
 */
export async function showAnswer(
	context: Context,
	stream: JobStream,
): Promise<Job> {
	const { json, out, env, printJSON } = context;
	const text = new WordWrapper(out, env);
	const spinner = new Spinner(context);
	let seen = "";
	try {
		for await (const event of stream) {
			if (event.type === "token") {
				spinner.stop();
				if (seen) showDescription(context, seen);
				seen = "";
				if (!json) text.write(event.data.text);
			} else if (event.type === "description") {
				seen += event.data.text;
				spinner.show(sees(seen));
			} else spinner.update(event);
		}
		const job = await stream.job();
		text.end();
		if (json) printJSON(job);
		else footer(context, job);
		return job;
	} catch (error) {
		text.end();
		if (json && error instanceof JobError) printJSON(error.job);
		throw error;
	} finally {
		spinner.stop();
	}
}

/** Cancels the job of an interrupted command, and says whether that worked. @throws Interrupted */
export async function cancelOnce(
	{ client, note }: Context,
	id: string,
): Promise<never> {
	const limits = { timeout: 3000, retryFor: 2000 };
	// Retries a 404, because a creation that is on its way may arrive after the first try.
	for (let tries = 0; ; tries++)
		try {
			let job = await client.jobs.cancel(id, limits);
			// The job ends a moment later, and has its price then.
			for (let looks = 0; job.price === null && looks < 10; looks++) {
				await new Promise((resolve) => setTimeout(resolve, 200));
				job = await client.jobs.get(id, limits);
			}
			note(
				job.status === "canceled"
					? `Canceled job ${id}; it cost ${job.price ? money(job.price) : "nothing"}.`
					: job.price === null
						? `Job ${id} is being canceled.`
						: `Job ${id} had ended already: ${job.status}, ${money(job.price)}.`,
			);
			break;
		} catch (error) {
			if (error instanceof NotFoundError && tries < 3) {
				await new Promise((resolve) => setTimeout(resolve, 300));
				continue;
			}
			const reason = error instanceof APIError ? ` (${error.code})` : "";
			note(
				error instanceof NotFoundError
					? "Stopped before the API created the job; it cost nothing."
					: `Job ${id} may still run${reason}. To cancel it: minigpt4 jobs cancel ${id}`,
			);
			break;
		}
	throw new Interrupted();
}

/** The status line until the first token arrives. */
class Spinner {
	readonly #context: Context;
	readonly #timer: NodeJS.Timeout;
	#text = "sending";
	#frame = 0;
	#stopped = false;

	constructor(context: Context) {
		this.#context = context;
		this.#timer = setInterval(() => this.#draw(), 100);
		this.#draw();
	}

	update({ type, data }: { type: string; data: unknown }): void {
		const { position, eta } = data as {
			position?: number;
			eta?: { first_token: { p50: number } };
		};
		if (type === "job.queued" && position) {
			const place = position === 1 ? "next in line" : `${position - 1} ahead`;
			const wait = eta ? `, about ${duration(eta.first_token.p50)}` : "";
			this.#text = `queued, ${place}${wait}`;
		} else if (type === "job.queued") this.#text = "queued";
		else if (type === "job.provisioning") this.#text = "a worker is starting";
		else if (type === "job.running") this.#text = "running";
		else if (type === "job.retrying") this.#text = "retrying";
	}

	show(text: string): void {
		this.#text = text;
	}

	stop(): void {
		if (this.#stopped) return;
		this.#stopped = true;
		clearInterval(this.#timer);
		this.#context.status.clear();
	}

	#draw(): void {
		this.#context.status.show(
			`${FRAMES[this.#frame++ % FRAMES.length]} ${this.#text}`,
		);
	}
}

const sees = (description: string): string =>
	`It sees: ${sanitize(description).trim()}`;

/** Shows above the answer what the model sees, on a terminal only. */
function showDescription(
	{ err, out, note, style }: Context,
	description: string,
): void {
	if (err.isTTY && out.isTTY) note(style.dim(`${sees(description)}\n`));
}

/** Shows the model, tokens, time and price below the answer, on a terminal only. */
function footer({ err, out, note, style }: Context, job: Job): void {
	if (!err.isTTY || !out.isTTY) return;
	const took =
		job.started_at && job.finished_at
			? [duration(Date.parse(job.finished_at) - Date.parse(job.started_at))]
			: [];
	const cut = {
		stop: [],
		length: ["cut at --max-tokens"],
		budget: ["cut at its max_price"],
	}[job.output.finish_reason ?? "stop"];
	const facts = [
		sanitize(job.model),
		plural(job.usage.output_tokens, "token"),
		...took,
		money(job.price ?? 0),
		...cut,
	];
	note(style.dim(`\n${facts.join(" · ")}\njob ${job.id}`));
}
