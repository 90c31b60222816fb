/** `jobs`: list, show, follow, cancel and delete the account's jobs. */
import type { Job } from "../index.ts";
import { showAnswer } from "./answer.ts";
import type { Command, Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { ago, duration, exactMoney, money, plural } from "./format.ts";
import { MAX_PAGE, parseLimit, parseNumber } from "./options.ts";
import { type Style, sanitize, table, widthOf } from "./terminal.ts";

const idOf = (args: string[]): string => {
	const [id, ...more] = args;
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

export const list: Command = {
	name: "jobs list",
	usage: ["[--limit N]"],
	summary: "Lists the account's jobs, newest first.",
	about: "`minigpt4 jobs` does the same.",
	options: ["limit"],
	async run(context, args) {
		const { client, json, values, out, style, now, note, print, printJSON } =
			context;
		if (args.length > 0)
			throw new UsageError(`There is no \`jobs ${args[0]}\`.`);
		const limit = parseLimit(values.limit);
		const jobs = [];
		const pages = client.jobs.list({
			limit: Math.min(MAX_PAGE, limit),
			signal: context.interrupt,
		});
		for await (const job of pages) {
			jobs.push(job);
			if (jobs.length === limit) break;
		}
		if (json) return printJSON(jobs);
		if (jobs.length === 0)
			return note("No jobs yet. To create one: minigpt4 describe photo.jpg");
		const rows = jobs.map((job) => [
			job.id,
			colorOf(context, job.status)(job.status),
			sanitize(job.model),
			ago(job.created_at, now()),
			job.price === null ? "" : money(job.price),
		]);
		print(
			table(
				["JOB", "STATUS", "MODEL", "CREATED", "PRICE"],
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
	async run(context, args) {
		const { client, json, printJSON } = context;
		const job = await client.jobs.get(idOf(args), {
			signal: context.interrupt,
		});
		if (json) printJSON(job);
		else show(context, job);
	},
};

export const cancel: Command = {
	name: "jobs cancel",
	usage: ["JOB"],
	summary:
		"Cancels a job. It is free before the first token, then costs what it wrote.",
	options: [],
	async run(context, args) {
		const { client, json, printJSON, print } = context;
		const job = await client.jobs.cancel(idOf(args), {
			signal: context.interrupt,
		});
		if (json) return printJSON(job);
		const cost = job.price === null ? "" : `, ${money(job.price)}`;
		const verb = job.status === "canceled" ? "is" : "had ended already:";
		print(
			job.finished_at === null
				? `Job ${job.id} is being canceled.`
				: `Job ${job.id} ${verb} ${job.status}${cost}.`,
		);
	},
};

export const remove: Command = {
	name: "jobs delete",
	usage: ["JOB"],
	summary: "Deletes a job that has ended: its text, request and images.",
	options: [],
	async run(context, args) {
		const { client, json, printJSON, print } = context;
		const id = idOf(args);
		await client.jobs.delete(id, { signal: context.interrupt });
		if (json) printJSON({ id, object: "job", deleted: true });
		else print(`Deleted job ${id}.`);
	},
};

export const follow: Command = {
	name: "jobs follow",
	usage: ["JOB [--after SEQ]"],
	summary:
		"Shows a job's answer from its beginning, and continues as it is written.",
	about:
		"With --json, one event per line. Ctrl-C stops the command, not the job.",
	options: ["after"],
	async run(context, args) {
		const { client, json, values, out, interrupt } = context;
		const after = parseNumber("after", values.after) ?? 0;
		const stream = client.jobs.events(idOf(args), {
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
		sanitize(job.model),
		plural(job.usage.images, "image"),
		plural(job.usage.output_tokens, "token"),
		...(took ? [took] : []),
		...(job.price === null ? [] : [money(job.price)]),
	];
	print(`${style.bold(job.id)}\n${facts.join(" · ")}`);
	for (const { item, quantity, amount } of job.price_parts ?? [])
		print(
			style.dim(
				`  ${quantity} ${item.replace("_", " ")} ${exactMoney(amount)}`,
			),
		);
	if (job.queue) print(style.dim(`${job.queue.position - 1} ahead`));
	if (job.error) print(style.red(sanitize(job.error.message)));
	const text = out.isTTY ? sanitize(job.output.text) : job.output.text;
	if (text) print(`\n${text.trim()}`);
}
