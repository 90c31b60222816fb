/**
 * `describe` and `ask`: ask about images, and show the answer while the model writes it. `quote`
 * says what that would cost.
 */
import type { NewJob } from "../index.ts";
import { cancelOnce, showAnswer } from "./answer.ts";
import type { Command, Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import {
	isFile,
	readImageInput,
	readQuestion,
	STDIN,
	uploadImage,
} from "./input.ts";
import { parseNumber } from "./options.ts";
import { showQuote } from "./quote.ts";

const SAMPLING = [
	"model",
	"max-tokens",
	"temperature",
	"seed",
	"stop",
	"max-price",
] as const;

const IMAGE =
	"IMAGE is a file, an https: address, an upload's id (img_…), or - for standard input.";

export const describe: Command = {
	name: "describe",
	usage: ["IMAGE [IMAGE…]", "< photo.jpg"],
	summary: "Describes one image, or up to four together.",
	about: `${IMAGE}\nWithout IMAGE, it reads standard input. Ctrl-C cancels the job.`,
	options: [...SAMPLING, "quote"],
	async run(context, args) {
		await answer(context, imagesToDescribe(context, args), {
			task: "describe",
		});
	},
};

export const ask: Command = {
	name: "ask",
	usage: [
		'IMAGE [IMAGE…] "QUESTION"',
		'"QUESTION" < photo.jpg',
		"IMAGE < question.txt",
		'--previous JOB "QUESTION"',
	],
	summary:
		"Asks a question about up to four images, or continues an earlier job.",
	about: [
		IMAGE,
		[
			"The last argument is the question; - reads it from standard input.",
			"With one argument and a pipe: if the argument names a file, it is the image, and the pipe",
			"brings the question; otherwise the argument is the question, and the pipe brings the image.",
			"Ctrl-C cancels the job.",
		].join(" "),
	].join("\n"),
	options: ["previous", ...SAMPLING, "quote"],
	async run(context, args) {
		const { images, question } = await splitArguments(context, args);
		await answer(context, images, await questionOf(context, question));
	},
};

export const quote: Command = {
	name: "quote",
	usage: [
		"IMAGE [IMAGE…]",
		'IMAGE [IMAGE…] "QUESTION"',
		'--previous JOB "QUESTION"',
	],
	summary: "Says what `ask`, or `describe`, would cost, at most and usually.",
	about: [
		IMAGE,
		[
			"Without a question: what a description costs. It is free. The quote that it prints caps one",
			"answer to the same question, asked with the same options within 15 minutes: --quote QUOTE.",
		].join(" "),
	].join("\n"),
	options: ["previous", ...SAMPLING],
	async run(context, args) {
		const last = args.at(-1);
		const describes =
			context.values.previous === undefined &&
			(last === undefined || last === STDIN || (await namesImage(last)));
		if (describes) {
			const images = imagesToDescribe(context, args);
			return showQuote(
				context,
				await requestOf(context, images, { task: "describe" }),
			);
		}
		const { images, question } = await splitArguments(context, args);
		const asked = await questionOf(context, question);
		await showQuote(context, await requestOf(context, images, asked));
	},
};

/** @throws UsageError */
function imagesToDescribe({ input }: Context, args: string[]): string[] {
	if (args.length > 0) return args;
	if (!input) throw new UsageError("Which image?");
	return [STDIN];
}

/** @param question as an argument */
async function questionOf(
	context: Context,
	question: string,
): Promise<Question> {
	const { previous } = context.values;
	return {
		prompt: question === STDIN ? await readQuestion(context) : question,
		...(previous !== undefined && { previous_job: previous }),
	};
}

/**
 * Tells which arguments are images and which one is the question.
 *
 * @throws UsageError
 */
export async function splitArguments(
	{ input, values }: Pick<Context, "input" | "values">,
	args: string[],
): Promise<{ images: string[]; question: string }> {
	const [only] = args;
	if (only === undefined) throw new UsageError("Ask what?");
	const images = args.slice(0, -1);
	const question = args.at(-1) as string;
	const continuesJob = values.previous !== undefined;
	if (args.length === 1 && !continuesJob) {
		if (await namesImage(only)) {
			if (input) return { images: [only], question: STDIN };
			throw new UsageError(
				`Ask what about ${only}? Put the question last: minigpt4 ask ${only} "What is this?"`,
			);
		}
		if (input && only !== STDIN) return { images: [STDIN], question: only };
		throw new UsageError(
			looksLikeFile(only)
				? `There is no file ${only}.`
				: `About which image? Put it first: minigpt4 ask photo.jpg "${only}"`,
		);
	}
	if (args.filter((arg) => arg === STDIN).length > 1)
		throw new UsageError(
			"- appears more than once, but standard input can be read only once.",
		);
	if (!continuesJob && question !== STDIN && (await namesImage(question)))
		throw new UsageError(
			`Ask what? ${question} is an image, and the question comes last.`,
		);
	return { images, question };
}

const namesImage = async (arg: string): Promise<boolean> =>
	arg !== STDIN &&
	(/^(https?:\/\/\S+$|data:image\/)|^img_[0-9A-Z]{26}$/.test(arg) ||
		(await isFile(arg)));

const looksLikeFile = (arg: string): boolean =>
	/\.(jpe?g|png|webp|gif)$/i.test(arg) || /^\.{0,2}\/\S+$/.test(arg);

type Question =
	| { task: "describe" }
	| { prompt: string; previous_job?: string };

/** Uploads the images, and returns the request. @throws UsageError, APIError */
async function requestOf(
	context: Context,
	args: string[],
	question: Question,
): Promise<NewJob> {
	const { values } = context;
	if (args.length > 4)
		throw new UsageError(`A job takes up to four images, not ${args.length}.`);
	if (args.filter((arg) => arg === STDIN).length > 1)
		throw new UsageError(
			"- appears more than once, but standard input can be read only once.",
		);
	const settings = {
		max_tokens: parseNumber("max-tokens", values["max-tokens"]),
		temperature: parseNumber("temperature", values.temperature),
		seed: parseNumber("seed", values.seed),
		stop: values.stop,
		model: values.model,
		max_price: parseNumber("max-price", values["max-price"]),
		quote: values.quote,
	};
	// Reads all images before it uploads the first, so that a wrong argument costs nothing.
	const inputs = [];
	for (const arg of args) inputs.push(await readImageInput(context, arg));
	const images = [];
	for (const input of inputs)
		images.push(
			input.kind === "url"
				? { url: input.url }
				: {
						upload:
							input.kind === "upload"
								? input.upload
								: (await uploadImage(context, input)).id,
					},
		);
	return {
		...question,
		...(images.length > 0 && { images }),
		...(Object.fromEntries(
			Object.entries(settings).filter(([, value]) => value !== undefined),
		) as { model?: string }),
	};
}

async function answer(
	context: Context,
	args: string[],
	question: Question,
): Promise<void> {
	const { client, interrupt } = context;
	const request = await requestOf(context, args, question);
	const stream = client.jobs.stream(request, {
		signal: interrupt,
		// The answer is paid for, so a restart of the API does not end the command.
		retryFor: 30_000,
	});
	try {
		await showAnswer(context, stream);
	} catch (error) {
		if (!interrupt.aborted) throw error;
		await cancelOnce(context, stream.id);
	}
}
