/** A server's program: Node's types fit. */
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { MiniGPT4, webhooks } from "minigpt4";

const client = new MiniGPT4({ fetch });

export async function ask(
	{ headers }: IncomingMessage,
	body: Buffer,
): Promise<void> {
	const { signal } = new AbortController();
	const images = [
		createReadStream("a.jpg"),
		await readFile("a.jpg"),
		new URL("file:///a.jpg"),
		new Blob([]),
	];
	await client.jobs.run({ images, prompt: "Hi" }, { signal });
	await webhooks.verify(body, headers, "whsec_");
}
