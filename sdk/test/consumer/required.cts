/** A CommonJS program, with both ways to import. */
import type { Job, MiniGPT4 } from "minigpt4";

import minigpt4 = require("minigpt4");

const client: MiniGPT4 = new minigpt4.MiniGPT4({ apiKey: "x" });
export const job: Promise<Job> = client.jobs.run({ prompt: "Hi" });
export const isOurs = (error: unknown): boolean =>
	error instanceof minigpt4.MiniGPT4Error;
