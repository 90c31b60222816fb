import { verifyReceipt } from "./receipt.ts";
import { verify } from "./verify.ts";

export { type ClientOptions, MiniGPT4 } from "./client.ts";
export * from "./errors.ts";
export type { FeedOptions } from "./feed.ts";
export type { JobStream } from "./job-stream.ts";
export type { CreateOptions, StreamOptions } from "./jobs.ts";
export type { RotateOptions } from "./keys.ts";
export type { LedgerOptions } from "./ledger.ts";
export type { Page, Paged } from "./paged.ts";
export type { Fetch, UploadSource } from "./platform.ts";
export { ReceiptError } from "./receipt.ts";
export type { CallOptions } from "./transport.ts";
export type * from "./types.ts";
export { ulid } from "./ulid.ts";
export type { Progress, UploadOptions } from "./uploads.ts";
export type { UsageOptions } from "./usage.ts";
export { type VerifyOptions, WebhookError } from "./verify.ts";
export type { ErrorCode } from "./wire.ts";
export type { NewJob } from "./wire-job.ts";

/** `webhooks.verify` checks a webhook's signature. A receiver needs neither a client nor a key. */
export const webhooks = { verify };

/** `receipts.verify` checks a job's receipt, with neither a client nor a key. */
export const receipts = { verify: verifyReceipt };
