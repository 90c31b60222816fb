/** Every command, in the order of the help. */
import { balance, models, upload, uploads } from "./account.ts";
import { ask, describe, quote } from "./ask.ts";
import type { Command } from "./command.ts";
import { exportAll } from "./export.ts";
import * as jobs from "./jobs.ts";
import * as keys from "./keys.ts";
import { ledger } from "./ledger.ts";
import { listen } from "./listen.ts";
import * as receipt from "./receipt.ts";
import { topup, usage } from "./usage.ts";
import * as webhooks from "./webhooks.ts";

export const COMMANDS: readonly Command[] = [
	describe,
	ask,
	quote,
	jobs.list,
	jobs.get,
	jobs.follow,
	jobs.cancel,
	jobs.remove,
	receipt.get,
	receipt.keys,
	receipt.verify,
	upload,
	uploads,
	models,
	balance,
	topup,
	usage,
	ledger,
	exportAll,
	keys.list,
	keys.create,
	keys.update,
	keys.rotate,
	keys.revoke,
	webhooks.list,
	webhooks.create,
	webhooks.test,
	webhooks.redeliver,
	listen,
];

/** The command that a group's name alone runs. */
export const DEFAULT_COMMANDS: Record<string, string> = {
	jobs: "jobs list",
	uploads: "uploads list",
	keys: "keys list",
	receipt: "receipt get",
	webhooks: "webhooks list",
};
