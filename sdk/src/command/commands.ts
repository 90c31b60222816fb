/** Every command, in the order of the help; what is said when none is given. */
import { balance, models, upload } from "./account.ts";
import { ask, describe } from "./ask.ts";
import type { Command } from "./command.ts";
import * as jobs from "./jobs.ts";
import * as keys from "./keys.ts";
import { listen } from "./listen.ts";
import type { Styles } from "./terminal.ts";
import * as webhooks from "./webhooks.ts";

export const COMMANDS: readonly Command[] = [
	describe,
	ask,
	jobs.list,
	jobs.get,
	jobs.follow,
	jobs.cancel,
	jobs.remove,
	upload,
	models,
	balance,
	keys.list,
	keys.create,
	keys.revoke,
	webhooks.list,
	webhooks.create,
	webhooks.test,
	webhooks.redeliver,
	listen,
];

/** What a group does when it is named alone. */
export const ALONE: Record<string, string> = {
	jobs: "jobs list",
	keys: "keys list",
	webhooks: "webhooks list",
};

export const groups = (): string[] => [
	...new Set(COMMANDS.map(({ name }) => name.split(" ")[0] as string)),
];

export function help({ bold, dim, cyan }: Styles): string {
	const width = Math.max(...COMMANDS.map(({ name }) => name.length));
	return `Asks MiniGPT-4 about images.

  ${bold("minigpt4 describe")} photo.jpg
  ${bold("minigpt4 ask")} photo.jpg "What is on the table?"

${dim("Commands")}
${COMMANDS.map(({ name, summary }) => `  ${cyan(name.padEnd(width))}  ${summary}`).join("\n")}

${dim("Each has its --help, and prints JSON with --json.")}

${dim("Environment")}
  MINIGPT4_API_KEY         the API key
  MINIGPT4_BASE_URL        the API; http://127.0.0.1:8787 without it, where \`npm start\` serves it
  MINIGPT4_WEBHOOK_SECRET  what \`webhooks listen\` signs with
  NO_COLOR                 no colours

${dim("It ends with")}
  0  done                        4  not enough credit
  1  refused, or the job failed  5  the API cannot be reached
  2  used wrongly, or a bad file 6  too much at once: try later
  3  no key, or not allowed      130  Ctrl-C
`;
}
