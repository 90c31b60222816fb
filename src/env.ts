/** Bindings and configuration, parsed once. Nothing else reads the environment. */
import { z } from "zod";
import type { Account } from "./account/account.ts";
import type { Job } from "./job/job.ts";
import type { Pool } from "./pool/pool.ts";

export interface Env {
	ACCOUNT: DurableObjectNamespace<Account>;
	JOB: DurableObjectNamespace<Job>;
	POOL: DurableObjectNamespace<Pool>;
	ASSETS: Fetcher;
	[name: string]: unknown;
}

const list = z
	.string()
	.default("")
	.transform((text) =>
		text
			.split(",")
			.map((item) => item.trim())
			.filter(Boolean),
	);

const Config = z
	.object({
		ENVIRONMENT: z.enum(["production", "development"]).default("production"),
		/** Server keys for the tags of API keys; the first signs, all verify. */
		KEY_SECRETS: list.refine(
			(keys) => keys.length > 0 && keys.every((k) => k.length >= 32),
			{
				message: "needs at least one secret of 32 characters or more",
			},
		),
		/** Opens the admin routes. They do not exist while it is unset. */
		ADMIN_SECRET: z.string().min(32).optional(),
		WORKER_URL: z.url(),
		WORKER_KEY: z.string().min(1),
		/** A Cloudflare Access service token for the tunnel to the worker, where there is one. */
		WORKER_ACCESS_ID: z.string().optional(),
		WORKER_ACCESS_SECRET: z.string().optional(),
		S3_ENDPOINT: z.url(),
		S3_REGION: z.string().default("us-east-1"),
		S3_BUCKET: z.string().default("minigpt4"),
		S3_ACCESS_KEY_ID: z.string().min(1),
		S3_SECRET_ACCESS_KEY: z.string().min(1),
		/** What one job costs, in micro-USD. */
		JOB_PRICE: z.coerce.number().int().nonnegative().default(1000),
		/** DNS over HTTPS, JSON form, for the guarded fetcher. */
		DNS_URL: z.url().default("https://cloudflare-dns.com/dns-query"),
		/** `host:port` pairs that the guarded fetcher may reach although they are not public. */
		EGRESS_ALLOW: list,
	})
	.refine(
		(c) => c.ENVIRONMENT !== "production" || c.EGRESS_ALLOW.length === 0,
		{
			path: ["EGRESS_ALLOW"],
			message: "is for development only; unset it in production",
		},
	);

export type Config = z.infer<typeof Config>;

const parsed = new WeakMap<Env, Config>();

/** The configuration of this deployment. Throws an error that names each wrong variable, never its value. */
export function config(env: Env): Config {
	let known = parsed.get(env);
	if (!known) {
		const result = Config.safeParse(env);
		if (!result.success) {
			const wrong = result.error.issues.map(
				(issue) => `${issue.path.join(".")}: ${issue.message}`,
			);
			throw new Error(`configuration: ${wrong.join("; ")}`);
		}
		known = result.data;
		parsed.set(env, known);
	}
	return known;
}
