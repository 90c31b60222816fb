/** A job's answer as it is written, and what Ctrl-C does to it. */
import {
	APIError,
	type Job,
	JobError,
	type JobStream,
	NotFoundError,
} from "../index.ts";
import type { Context } from "./command.ts";
import { Interrupted } from "./exit.ts";
import { harmless, Wrapped } from "./terminal.ts";
import { duration, money, plural } from "./words.ts";

const FRAMES = [..."⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"];

/** Shows the answer as it comes, or, with --json, the job once it has ended. @throws Interrupted, JobError */
export async function showAnswer(
	context: Context,
	stream: JobStream,
): Promise<Job> {
	const { json, out, env, document } = context;
	const text = new Wrapped(out, env);
	const waiting = new Waiting(context);
	try {
		for await (const event of stream) {
			if (event.type === "token") {
				waiting.end();
				if (!json) text.write(event.data.text);
			} else waiting.tell(event);
		}
		const job = await stream.job();
		text.end();
		if (json) document(job);
		else footer(context, job);
		return job;
	} catch (error) {
		text.end();
		if (json && error instanceof JobError) document(error.job);
		throw error;
	} finally {
		waiting.end();
	}
}

/** Cancels the job of an interrupted command, once, and says what came of it. */
export async function cancelOnce(
	{ client, note }: Context,
	id: string,
): Promise<never> {
	const again = `minigpt4 jobs cancel ${id}`;
	const limits = { timeout: 3000, retryFor: 2000 };
	// A job whose creation was under way may appear a moment later.
	for (let tries = 0; ; tries++)
		try {
			let job = await client.jobs.cancel(id, limits);
			// It ends a moment later, and has its price then.
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
			note(
				error instanceof NotFoundError
					? "Stopped before the job began; it cost nothing."
					: `Job ${id} may go on${error instanceof APIError ? ` (${error.code})` : ""}. To cancel it: ${again}`,
			);
			break;
		}
	throw new Interrupted();
}

/** What a terminal shows until the first word comes. */
class Waiting {
	readonly #context: Context;
	readonly #timer: NodeJS.Timeout;
	#text = "asking";
	#frame = 0;
	#ended = false;

	constructor(context: Context) {
		this.#context = context;
		this.#timer = setInterval(() => this.#draw(), 100);
		this.#draw();
	}

	tell({ type, data }: { type: string; data: unknown }): void {
		const { position, eta } = data as {
			position?: number;
			eta?: { first_token: { p50: number } };
		};
		if (type === "job.queued")
			this.#text = position
				? `waiting, ${position === 1 ? "next in line" : `${position - 1} ahead`}${eta ? `, about ${duration(eta.first_token.p50)}` : ""}`
				: "waiting";
		else if (type === "job.provisioning") this.#text = "a worker is starting";
		else if (type === "job.running") this.#text = "looking";
		else if (type === "job.retrying") this.#text = "trying again";
	}

	end(): void {
		if (this.#ended) return;
		this.#ended = true;
		clearInterval(this.#timer);
		this.#context.status.clear();
	}

	#draw(): void {
		this.#context.status.show(
			`${FRAMES[this.#frame++ % FRAMES.length]} ${this.#text}`,
		);
	}
}

/** What it was, for people who see the answer on a terminal. */
function footer({ err, out, note, style }: Context, job: Job): void {
	if (!err.isTTY || !out.isTTY) return;
	const took =
		job.started_at && job.finished_at
			? [duration(Date.parse(job.finished_at) - Date.parse(job.started_at))]
			: [];
	const cut =
		job.output.finish_reason === "length" ? ["cut at --max-tokens"] : [];
	note(
		style.dim(
			`\n${[harmless(job.model), plural(job.usage.output_tokens, "token"), ...took, money(job.price ?? 0), ...cut].join(" · ")}\njob ${job.id}`,
		),
	);
}
