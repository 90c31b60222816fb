/** Bindings and configuration, parsed once. Nothing else reads the environment. */
import { z } from "zod";
import type { ReplicateAddress } from "./models.ts";
import {
	MODEL_IDS,
	MODELS,
	PRICE_CLASSES,
	type PriceClass,
	type ServedModel,
	type ServedModels,
} from "./models.ts";

const list = z
	.string()
	.default("")
	.transform((text) =>
		text
			.split(",")
			.map((item) => item.trim())
			.filter(Boolean),
	);

/** JSON text, or what it stands for where the platform parsed it already. What does not parse is not quoted: it may hold keys. */
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

/** Nothing but these members. Others are refused without naming them: a misplaced secret may be one. */
const strict = <S extends z.ZodRawShape>(shape: S) =>
	z.strictObject(shape, {
		error: ({ code }) =>
			code === "unrecognized_keys"
				? `may have ${Object.keys(shape).join(", ")}, and has something else`
				: undefined,
	});

const optional = <Name extends string, S extends z.ZodType>(
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
/** Micro-USD. */
const price = z.int().nonnegative();

/** More replicas than one pool should ask every second. */
const MOST_WORKERS = 64;

/** Predictions of a model on Replicate. */
const OnReplicate = strict({
	/** `owner/name` of a deployment, or `owner/name:version` of a model. */
	run: z.string().regex(/^[\w.-]+\/[\w.-]+(:[0-9a-f]{64})?$/, {
		message: "must be owner/deployment or owner/model:version",
	}),
	token: secret,
	/** Predictions at once. */
	slots: z.int().min(1).max(1_000).default(4),
	api: url.default("https://api.replicate.com/v1"),
	/** Where this deployment is reached from outside, and Replicate's signing secret: predictions that nobody wants are found and ended. */
	webhook: strict({ url, secret }).optional(),
});

/** Where one model is served; what is left out is as for the others. */
const Worker = strict({
	/** One URL, or one for each replica. */
	url: z
		.union([
			url,
			z
				.array(url)
				.min(1)
				.max(MOST_WORKERS)
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
	price: price.optional(),
}).refine(
	({ url, key, access, replicate }) =>
		replicate ? !(url || key || access) : url,
	{ message: "needs either url, perhaps with key and access, or replicate" },
);

/** What one job costs where nothing else is said, in micro-USD. */
const PRICES: Record<PriceClass, number> = {
	small: 1_000,
	medium: 5_000,
	large: 10_000,
};

/** Which models are served, where and for how much. */
const Serving = z.object({
	/** `{"nano": {"url": …}, "vicuna-7b": {"url": … | […], "key"?: …, "access"?: {"id", "secret"}, "replicate"?: {"run", "token"}, "price"?: …}}` */
	WORKERS: json(optional(MODEL_IDS, Worker)).optional(),
	/** Short for `WORKERS` where nano alone is served. */
	WORKER_URL: url.optional(),
	/** Opens each worker that has no key of its own in `WORKERS`. */
	WORKER_KEY: secret.optional(),
	/** A Cloudflare Access service token for the tunnel to the workers, where there is one. */
	WORKER_ACCESS_ID: z.string().optional(),
	WORKER_ACCESS_SECRET: z.string().optional(),
	/** What one job costs by price class, in micro-USD: `{"medium": 5000}`; `WORKERS` may price a model by itself. */
	PRICES: json(optional(PRICE_CLASSES, price)).default({}),
	/** Short for the price of class `small`, which is nano's. */
	JOB_PRICE: z.coerce.number().int().nonnegative().optional(),
});

function onReplicate(
	model: string,
	{ run, api, webhook, ...more }: z.infer<typeof OnReplicate>,
): ReplicateAddress {
	const [name, version] = run.split(":");
	return {
		url: version
			? `${api}/models/${name}/versions/${version}`
			: `${api}/deployments/${name}`,
		replicate: { ...more, model, run, api, webhook: webhook ?? null },
	};
}

function served(
	vars: z.infer<typeof Serving>,
	wrong: (name: string, message: string) => void,
): ServedModels {
	const { WORKERS, WORKER_URL, WORKER_KEY, JOB_PRICE } = vars;
	if (WORKERS && WORKER_URL)
		wrong("WORKER_URL", "is short for WORKERS; unset one of them");
	if (JOB_PRICE !== undefined && vars.PRICES.small !== undefined)
		wrong("JOB_PRICE", "is short for PRICES.small; unset one of them");
	const priceOf = (by: PriceClass) =>
		vars.PRICES[by] ?? (by === "small" ? JOB_PRICE : undefined) ?? PRICES[by];
	const tunnel =
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
			wrong("WORKER_KEY", `is unset, and ${id} has no key in WORKERS`);
		const model = MODELS[id];
		models.set(id, {
			...model,
			price: worker.price ?? priceOf(model.priceClass),
			workers: [
				...urls.map((url) => ({
					url,
					key: key ?? "",
					access: worker.access ?? tunnel,
				})),
				...(worker.replicate ? [onReplicate(id, worker.replicate)] : []),
			],
		});
	}
	if (models.size === 0)
		wrong(
			"WORKERS",
			"names no model; without it WORKER_URL says where nano is",
		);
	return models;
}

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
		...Serving.shape,
		S3_ENDPOINT: z.url(),
		S3_REGION: z.string().default("us-east-1"),
		S3_BUCKET: z.string().default("minigpt4"),
		S3_ACCESS_KEY_ID: z.string().min(1),
		S3_SECRET_ACCESS_KEY: z.string().min(1),
		/** What one account may have at once and do in a minute. */
		LIMIT_CONCURRENT_JOBS: z.coerce.number().int().min(1).default(200),
		LIMIT_REQUESTS_PER_MINUTE: z.coerce.number().int().min(1).default(600),
		/** DNS over HTTPS, JSON form, for the guarded fetcher. */
		DNS_URL: z.url().default("https://cloudflare-dns.com/dns-query"),
		/** How long a webhook's receiver has to answer. */
		WEBHOOK_TIMEOUT_MS: z.coerce.number().int().min(100).default(15_000),
		/** `host:port`, or `host`: what images and webhooks may lead to although it is not public. */
		EGRESS_ALLOW: list,
	})
	.refine(
		(c) => c.ENVIRONMENT !== "production" || c.EGRESS_ALLOW.length === 0,
		{
			path: ["EGRESS_ALLOW"],
			message: "is for development only; unset it in production",
		},
	)
	.transform((vars, context) => ({
		...vars,
		models: served(vars, (name, message) =>
			context.addIssue({ code: "custom", path: [name], message }),
		),
	}));

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
