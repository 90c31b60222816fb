/** `jobs`: what the account asked, newest first; one of them; its end. */
import type { Job } from "../index.ts";
import { showAnswer } from "./answer.ts";
import type { Command, Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { number } from "./options.ts";
import { harmless, type Style, table, widthOf } from "./terminal.ts";
import { ago, duration, money, plural } from "./words.ts";

const idOf = (words: string[]): string => {
	const [id, ...more] = words;
	if (!id) throw new UsageError("Which job? `minigpt4 jobs` lists them.");
	if (more.length > 0) throw new UsageError("One job at a time.");
	return id;
};

const colorOf = ({ style }: Context, status: string): Style =>
	({
		succeeded: style.green,
		failed: style.red,
		expired: style.yellow,
		canceled: style.yellow,
	})[status] ?? style.cyan;

const LISTED = 20;

export const list: Command = {
	name: "jobs list",
	usage: ["[--limit N]"],
	summary: "Lists the account's jobs, newest first.",
	about: `${LISTED} unless --limit says otherwise. \`minigpt4 jobs\` alone does the same.`,
	options: ["limit"],
	async run(context, words) {
		const { client, json, values, out, style, now, note, print, document } =
			context;
		if (words.length > 0)
			throw new UsageError(`There is no \`jobs ${words[0]}\`.`);
		const most = number("limit", values.limit) ?? LISTED;
		if (!Number.isInteger(most) || most < 1)
			throw new UsageError("--limit needs a whole number from 1 on.");
		const jobs = [];
		const pages = client.jobs.list({
			limit: Math.min(100, most),
			signal: context.interrupt,
		});
		for await (const job of pages) {
			jobs.push(job);
			if (jobs.length === most) break;
		}
		if (json) return document(jobs);
		if (jobs.length === 0)
			return note("No jobs yet. The first one: minigpt4 describe photo.jpg");
		const rows = jobs.map((job) => [
			job.id,
			colorOf(context, job.status)(job.status),
			harmless(job.model),
			ago(job.created_at, now()),
			job.price === null ? "" : money(job.price),
		]);
		print(
			table(
				["JOB", "STATUS", "MODEL", "ASKED", "PRICE"],
				rows,
				widthOf(out),
				style,
			).trimEnd(),
		);
	},
};

export const get: Command = {
	name: "jobs get",
	usage: ["JOB"],
	summary: "Shows a job, with its text so far.",
	options: [],
	async run(context, words) {
		const { client, json, document } = context;
		const job = await client.jobs.get(idOf(words), {
			signal: context.interrupt,
		});
		if (json) document(job);
		else show(context, job);
	},
};

export const cancel: Command = {
	name: "jobs cancel",
	usage: ["JOB"],
	summary: "Cancels a job: free before its first word, then by its share.",
	options: [],
	async run(context, words) {
		const { client, json, document, print } = context;
		const job = await client.jobs.cancel(idOf(words), {
			signal: context.interrupt,
		});
		if (json) return document(job);
		const cost = job.price === null ? "" : `, ${money(job.price)}`;
		print(
			job.finished_at === null
				? `Job ${job.id} is being canceled.`
				: `Job ${job.id} ${job.status === "canceled" ? "is" : "had ended already:"} ${job.status}${cost}.`,
		);
	},
};

export const remove: Command = {
	name: "jobs delete",
	usage: ["JOB"],
	summary: "Erases a job that has ended: its text, request and images.",
	options: [],
	async run(context, words) {
		const { client, json, document, print } = context;
		const id = idOf(words);
		await client.jobs.delete(id, { signal: context.interrupt });
		if (json) document({ id, object: "job", deleted: true });
		else print(`Erased job ${id}.`);
	},
};

export const follow: Command = {
	name: "jobs follow",
	usage: ["JOB [--after SEQ]"],
	summary: "Shows a job's answer from the beginning on, and as it goes on.",
	about:
		"With --json, one event per line. Ctrl-C stops following; the job goes on.",
	options: ["after"],
	async run(context, words) {
		const { client, json, values, out, interrupt } = context;
		const after = number("after", values.after) ?? 0;
		const stream = client.jobs.events(idOf(words), {
			after,
			signal: interrupt,
		});
		if (json) {
			for await (const event of stream) out.write(`${JSON.stringify(event)}\n`);
			await stream.job();
		} else await showAnswer(context, stream);
	},
};

function show(context: Context, job: Job): void {
	const { style, print, out } = context;
	const took =
		job.started_at && job.finished_at
			? duration(Date.parse(job.finished_at) - Date.parse(job.started_at))
			: null;
	const facts = [
		colorOf(context, job.status)(job.status),
		harmless(job.model),
		plural(job.usage.images, "image"),
		plural(job.usage.output_tokens, "token"),
		...(took ? [took] : []),
		...(job.price === null ? [] : [money(job.price)]),
	];
	print(`${style.bold(job.id)}\n${facts.join(" · ")}`);
	if (job.queue) print(style.dim(`${job.queue.position - 1} ahead`));
	if (job.error) print(style.red(harmless(job.error.message)));
	const text = out.isTTY ? harmless(job.output.text) : job.output.text;
	if (text) print(`\n${text.trim()}`);
}
