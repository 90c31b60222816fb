/** `describe` and `ask`: a question about images, answered as it is written. */
import { cancelOnce, showAnswer } from "./answer.ts";
import type { Command, Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { isFile, picture, pipedText, STDIN, send } from "./input.ts";
import { number } from "./options.ts";

const SAMPLING = [
	"model",
	"max-tokens",
	"temperature",
	"seed",
	"stop",
] as const;

const IMAGE = `IMAGE is a file, an https: address, an upload's id (img_…), or - for what is piped in.`;

export const describe: Command = {
	name: "describe",
	usage: ["IMAGE [IMAGE…]", "< photo.jpg"],
	summary: "Describes one image, or up to four together.",
	about: `${IMAGE}\nWithout any, the image is read from standard input. Ctrl-C cancels the job.`,
	options: SAMPLING,
	async run(context, words) {
		if (words.length === 0 && !context.input)
			throw new UsageError("Which image?");
		await answer(context, words.length > 0 ? words : [STDIN], {
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
		"Asks a question about up to four images, or goes on from an earlier job.",
	about: `${IMAGE}\nThe last word is the question; - there reads it from standard input. Where something is piped in and only one word is given, it is the image if a file has that name, and what is piped in is the question; else the other way round. Ctrl-C cancels the job.`,
	options: ["previous", ...SAMPLING],
	async run(context, words) {
		const { images, question } = await sort(context, words);
		const { previous } = context.values;
		await answer(context, images, {
			prompt: question === STDIN ? await pipedText(context) : question,
			...(previous !== undefined && { previous_job: previous }),
		});
	},
};

/** Which words are images and which one is the question. @throws UsageError */
export async function sort(
	{ input, values }: Pick<Context, "input" | "values">,
	words: string[],
): Promise<{ images: string[]; question: string }> {
	const [only] = words;
	if (only === undefined) throw new UsageError("Ask what?");
	const images = words.slice(0, -1);
	const question = words.at(-1) as string;
	const goesOn = values.previous !== undefined;
	if (words.length === 1 && !goesOn) {
		if (await isImageWord(only)) {
			if (input) return { images: [only], question: STDIN };
			throw new UsageError(
				`Ask what about ${only}? The question comes last: minigpt4 ask ${only} "What is this?"`,
			);
		}
		if (input && only !== STDIN) return { images: [STDIN], question: only };
		throw new UsageError(
			looksLikeFile(only)
				? `There is no file ${only}.`
				: `About which image? It comes first: minigpt4 ask photo.jpg "${only}"`,
		);
	}
	if (words.filter((word) => word === STDIN).length > 1)
		throw new UsageError(
			"Only one thing can be piped in, and - stands there more than once.",
		);
	if (!goesOn && question !== STDIN && (await isImageWord(question)))
		throw new UsageError(
			`Ask what? ${question} is an image, and the question comes last.`,
		);
	return { images, question };
}

const isImageWord = async (word: string): Promise<boolean> =>
	word !== STDIN &&
	(/^(https?:\/\/\S+$|data:image\/)|^img_[0-9A-Z]{26}$/.test(word) ||
		(await isFile(word)));

const looksLikeFile = (word: string): boolean =>
	/\.(jpe?g|png|webp|gif)$/i.test(word) || /^\.{0,2}\/\S+$/.test(word);

type Question =
	| { task: "describe" }
	| { prompt: string; previous_job?: string };

async function answer(
	context: Context,
	words: string[],
	question: Question,
): Promise<void> {
	const { client, values, interrupt } = context;
	if (words.length > 4)
		throw new UsageError(`A job takes up to four images, not ${words.length}.`);
	if (words.filter((word) => word === STDIN).length > 1)
		throw new UsageError(
			"Only one thing can be piped in, and - stands there more than once.",
		);
	const settings = {
		max_tokens: number("max-tokens", values["max-tokens"]),
		temperature: number("temperature", values.temperature),
		seed: number("seed", values.seed),
		stop: values.stop,
		model: values.model,
	};
	// All of them are looked at before any is sent.
	const pictures = [];
	for (const word of words) pictures.push(await picture(context, word));
	const images = [];
	for (const each of pictures)
		images.push(
			each.kind === "url"
				? { url: each.url }
				: {
						upload:
							each.kind === "upload"
								? each.upload
								: (await send(context, each)).id,
					},
		);
	const request = {
		...question,
		...(images.length > 0 && { images }),
		...(Object.fromEntries(
			Object.entries(settings).filter(([, value]) => value !== undefined),
		) as { model?: string }),
	};
	const stream = client.jobs.stream(request, {
		signal: interrupt,
		// What is paid for is not given up for a restart of the API.
		retryFor: 30_000,
	});
	try {
		await showAnswer(context, stream);
	} catch (error) {
		if (!interrupt.aborted) throw error;
		await cancelOnce(context, stream.id);
	}
}
