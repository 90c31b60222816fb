/** A page's program: the browser's types fit. */
import { MiniGPT4, webhooks } from "minigpt4";

const client = new MiniGPT4({ apiKey: "x", fetch });
const wrapped = new MiniGPT4({ fetch: (url, init) => fetch(url, init) });

export async function ask(request: Request, file: File): Promise<void> {
	const { signal } = new AbortController();
	const images = [file, new Blob([]), new URL("https://a"), file.stream()];
	await client.jobs.run({ images, prompt: "Hi" }, { signal });
	await wrapped.uploads.create(await request.arrayBuffer(), { signal });
	await webhooks.verify(await request.text(), request.headers, "whsec_");
}
