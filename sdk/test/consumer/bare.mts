/** A program that uses the client without any platform's types. */
import {
	APIError,
	type Job,
	MiniGPT4,
	type NewJob,
	ulid,
	webhooks,
} from "minigpt4";

const client = new MiniGPT4({ apiKey: "x", timeout: 1_000 });

export async function ask(
	bytes: Uint8Array,
	buffer: ArrayBuffer,
): Promise<Job> {
	const job: NewJob = {
		images: ["a.jpg", bytes, buffer, { url: "https://a" }, { upload: "img_1" }],
		prompt: "What is this?",
		stop: ["."],
	};
	const stream = client.jobs.stream(job, { id: ulid(), cancelOnAbort: true });
	for await (const piece of stream.text()) piece.toUpperCase();
	for await (const event of client.events.stream({ types: ["job.failed"] }))
		if (event.type === "job.failed") event.data.finished_at.toUpperCase();
	for await (const { id } of client.jobs.list({ limit: 2 })) id.toUpperCase();
	const ended = await client.jobs.run(job);
	// @ts-expect-error it is text
	const wrong: number = ended.output.text;
	// @ts-expect-error there is no such member
	await client.jobs.run({ prompt: "Hi", colour: wrong });
	return ended;
}

export const isPoor = (error: unknown): boolean =>
	error instanceof APIError && error.code === "insufficient_credit";

export const verified = async (body: string): Promise<string> =>
	(await webhooks.verify(body, { "webhook-id": ["1"] }, "whsec_")).type;
