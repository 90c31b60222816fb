/**
 * The configuration of this deployment. This file alone reads the environment's variables, and
 * parses them once for each environment object.
 */
import { z } from "zod";
import {
	MODEL_IDS,
	MODELS,
	type ReplicateAddress,
	type ServedModel,
	type ServedModels,
} from "./models.ts";
import { MAX_RATE, PRICE_TABLE } from "./pricing/prices.ts";

const commaSeparated = z
	.string()
	.default("")
	.transform((text) =>
		text
			.split(",")
			.map((item) => item.trim())
			.filter(Boolean),
	);

/**
 * JSON text, or the value itself where the platform has parsed the variable already. The error does
 * not quote invalid JSON, because it may hold secrets.
 */
const json = <S extends z.ZodType>(schema: S) =>
	z.preprocess((value, context) => {
		if (typeof value !== "string") return value;
		try {
			return JSON.parse(value);
		} catch {
			context.addIssue({ code: "custom", message: "is not valid JSON" });
			return z.NEVER;
		}
	}, schema);

/**
 * An object with these members alone. The error does not name an unknown member, because its name
 * may be a misplaced secret.
 */
const strict = <S extends z.ZodRawShape>(shape: S) =>
	z.strictObject(shape, {
		error: ({ code }) =>
			code === "unrecognized_keys"
				? `may have ${Object.keys(shape).join(", ")}, and has something else`
				: undefined,
	});

/** An object that may have any of these members, all of one schema. */
const optionalMembers = <Name extends string, S extends z.ZodType>(
	names: readonly Name[],
	member: S,
) =>
	strict(
		Object.fromEntries(
			names.map((name) => [name, member.optional()]),
		) as Record<Name, z.ZodOptional<S>>,
	);

const secret = z.string().min(1);
const url = z.url({ protocol: /^https?$/ });
/** Micro-USD: see `PER`. */
const rate = z.int().nonnegative().max(MAX_RATE);

/** A pool probes all replicas of its model every second; this bounds the requests that costs. */
const MAX_REPLICAS = 64;

/** How a model is called on Replicate. */
const OnReplicate = strict({
	/** `owner/name` of a deployment, or `owner/name:version` of a model. */
	run: z.string().regex(/^[\w.-]+\/[\w.-]+(:[0-9a-f]{64})?$/, {
		message: "must be owner/deployment or owner/model:version",
	}),
	token: secret,
	/** The most predictions that run at once. */
	slots: z.int().min(1).max(1_000).default(4),
	api: url.default("https://api.replicate.com/v1"),
	/**
	 * The public URL of this deployment, and Replicate's signing secret. With both set, Replicate
	 * reports each prediction, and the edge cancels those whose job has ended.
	 */
	webhook: strict({ url, secret }).optional(),
});

/** Where one model is served. Members that are left out take the deployment-wide values. */
const ServedAt = strict({
	/** One URL, or one for each replica. */
	url: z
		.union([
			url,
			z
				.array(url)
				.min(1)
				.max(MAX_REPLICAS)
				.refine((urls) => new Set(urls).size === urls.length, {
					message: "names a replica twice",
				}),
		])
		.optional(),
	key: secret.optional(),
	/** A Cloudflare Access service token. */
	access: strict({ id: secret, secret }).optional(),
	/** Instead of `url`. */
	replicate: OnReplicate.optional(),
}).refine(
	({ url, key, access, replicate }) =>
		replicate ? !(url || key || access) : url,
	{ message: "needs either url, perhaps with key and access, or replicate" },
);

/** Prices of a deployment's own, under a name of its own. */
const PriceTable = strict({
	version: z
		.string()
		.regex(/^[\w.-]{1,64}$/, {
			message: "must be 1 to 64 letters, digits, dots, dashes or underscores",
		})
		.refine((version) => version !== PRICE_TABLE.version, {
			message: "is the name of this release's own table; choose another",
		}),
	/** A model that is left out has the rates of this release. */
	models: optionalMembers(
		MODEL_IDS,
		strict({ prompt_tokens: rate, output_tokens: rate, images: rate }),
	),
});

/** Which models are served, where and for how much. */
const Serving = z.object({
	/**
	 * By model id: `{"nano": {"url": …}, "vicuna-7b": {"url": […], "key": …}}`; see `ServedAt` for
	 * all members.
	 */
	WORKERS: json(optionalMembers(MODEL_IDS, ServedAt)).optional(),
	/** Short for `WORKERS` in a deployment that serves nano alone. */
	WORKER_URL: url.optional(),
	/** The bearer key of each worker that has no `key` of its own in `WORKERS`. */
	WORKER_KEY: secret.optional(),
	/** A Cloudflare Access service token, if a tunnel leads to the workers. */
	WORKER_ACCESS_ID: z.string().optional(),
	WORKER_ACCESS_SECRET: z.string().optional(),
	/**
	 * Integer micro-USD per million prompt tokens, per million output tokens and per 1,000 images:
	 * `{"version": "2027-01", "models": {"nano": {"prompt_tokens": 50000, "output_tokens": 200000,
	 * "images": 100000}}}`. Left out: `PRICE_TABLE`. Other rates need another `version`.
	 */
	PRICES: json(PriceTable).optional(),
});

function replicateAddress(
	model: string,
	{ run, api, webhook, token, slots }: z.infer<typeof OnReplicate>,
): ReplicateAddress {
	const [name, version] = run.split(":");
	return {
		url: version
			? `${api}/models/${name}/versions/${version}`
			: `${api}/deployments/${name}`,
		replicate: { model, token, slots, run, api, webhook: webhook ?? null },
	};
}

/** @param report called for each wrong variable, with what is wrong */
function servedModels(
	vars: z.infer<typeof Serving>,
	report: (variable: string, message: string) => void,
): ServedModels {
	const { WORKERS, WORKER_URL, WORKER_KEY, PRICES } = vars;
	if (WORKERS && WORKER_URL)
		report("WORKER_URL", "is short for WORKERS; unset one of them");
	const { version } = PRICES ?? PRICE_TABLE;
	const tunnelAccess =
		vars.WORKER_ACCESS_ID && vars.WORKER_ACCESS_SECRET
			? { id: vars.WORKER_ACCESS_ID, secret: vars.WORKER_ACCESS_SECRET }
			: null;
	const workers: typeof WORKERS =
		WORKERS ?? (WORKER_URL ? { nano: { url: WORKER_URL } } : {});
	const models = new Map<string, ServedModel>();
	for (const id of MODEL_IDS) {
		const worker = workers[id];
		if (!worker) continue;
		const key = worker.key ?? WORKER_KEY;
		const urls = [worker.url ?? []].flat();
		if (!key && urls.length > 0)
			report("WORKER_KEY", `is unset, and ${id} has no key in WORKERS`);
		models.set(id, {
			...MODELS[id],
			prices: { version, rates: PRICES?.models[id] ?? PRICE_TABLE.rates[id] },
			workers: [
				...urls.map((url) => ({
					url,
					key: key ?? "",
					access: worker.access ?? tunnelAccess,
				})),
				...(worker.replicate ? [replicateAddress(id, worker.replicate)] : []),
			],
		});
	}
	if (models.size === 0)
		report(
			"WORKERS",
			"names no model; set it, or set WORKER_URL to serve nano alone",
		);
	return models;
}

const Config = z
	.object({
		ENVIRONMENT: z.enum(["production", "development"]).default("production"),
		/** Server keys for the tags of API keys. The first signs new keys; all of them verify. */
		KEY_SECRETS: commaSeparated.refine(
			(keys) => keys.length > 0 && keys.every((k) => k.length >= 32),
			{
				message: "needs at least one secret of 32 characters or more",
			},
		),
		/** The bearer key of the admin routes, which answer 404 while it is unset. */
		ADMIN_SECRET: z.string().min(32).optional(),
		/** The bearer key of who may read the metrics and the pools, and nothing else. */
		ADMIN_READ_SECRET: z.string().min(32).optional(),
		...Serving.shape,
		S3_ENDPOINT: z.url(),
		S3_REGION: z.string().default("us-east-1"),
		S3_BUCKET: z.string().default("minigpt4"),
		S3_ACCESS_KEY_ID: z.string().min(1),
		S3_SECRET_ACCESS_KEY: z.string().min(1),
		/**
		 * An OpenID provider for the console's sign-in: `{"issuer": "https://accounts.example.com",
		 * "client_id": …, "client_secret": …}`. Its callback is `/console/callback`. A client without
		 * a secret is a public one.
		 */
		OIDC: json(
			strict({
				issuer: url,
				client_id: secret,
				client_secret: secret.optional(),
			}),
		).optional(),
		/** Micro-USD that a first sign-in gives the new account. */
		WELCOME_CREDIT: z.coerce.number().int().min(0).default(0),
		/**
		 * Stripe, for top-ups by card: `{"secret_key": "sk_live_…", "webhook_secret": "whsec_…"}`. Its
		 * webhook goes to `/internal/stripe`. `api` names another server, for tests.
		 */
		STRIPE: json(
			strict({
				secret_key: secret,
				webhook_secret: secret,
				api: url.optional(),
			}),
		).optional(),
		/** The limits of one account. */
		LIMIT_CONCURRENT_JOBS: z.coerce.number().int().min(1).default(200),
		LIMIT_REQUESTS_PER_MINUTE: z.coerce.number().int().min(1).default(600),
		LIMIT_TOKENS_PER_MINUTE: z.coerce.number().int().min(1).default(500_000),
		/**
		 * A DNS-over-HTTPS resolver with a JSON API; egress/ looks names up there before it connects.
		 */
		DNS_URL: z.url().default("https://cloudflare-dns.com/dns-query"),
		/** How long a webhook's receiver has to answer. */
		WEBHOOK_TIMEOUT_MS: z.coerce.number().int().min(100).default(15_000),
		/**
		 * `host:port` or `host`: hosts that image URLs and webhooks may reach although they are not
		 * public.
		 */
		EGRESS_ALLOW: commaSeparated,
	})
	.refine(
		(vars) =>
			vars.ENVIRONMENT !== "production" || vars.EGRESS_ALLOW.length === 0,
		{
			path: ["EGRESS_ALLOW"],
			message: "is for development only; unset it in production",
		},
	)
	.transform((vars, context) => ({
		...vars,
		models: servedModels(vars, (variable, message) =>
			context.addIssue({ code: "custom", path: [variable], message }),
		),
	}));

export type Config = z.infer<typeof Config>;

const parsed = new WeakMap<Env, Config>();

/**
 * The configuration of this deployment.
 * @throws Error that names each wrong variable, never its value
 */
export function config(env: Env): Config {
	const cached = parsed.get(env);
	if (cached) return cached;
	const result = Config.safeParse(env);
	if (!result.success) {
		const issues = result.error.issues.map(
			({ path, message }) => `${path.join(".")}: ${message}`,
		);
		throw new Error(`configuration: ${issues.join("; ")}`);
	}
	parsed.set(env, result.data);
	return result.data;
}
