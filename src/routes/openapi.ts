/** The OpenAPI document. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { App } from "../http/router.ts";
import { SUPPORTED_PATHS } from "../openai/endpoints.ts";
import { ABOUT_SCOPES, SCOPES } from "../scopes.ts";
import { originOf } from "./kit.ts";

/** Chapters of the reference, in order, and the paths that each holds. */
const CHAPTERS: { name: string; description: string; paths: RegExp }[] = [
	{
		name: "Jobs",
		description:
			"A question about images and its answer. One job runs and is paid for once, however often " +
			"it is sent under its name; its events can be read from any point on.",
		paths: /^(\/v1\/jobs(\/|$)|\/\.well)/,
	},
	{
		name: "Quotes",
		description:
			"What a job is going to cost: at most, which the API keeps to, and usually.",
		paths: /^\/v1\/quotes(\/|$)/,
	},
	{
		name: "Uploads",
		description: "Photos that several jobs ask about, or large ones.",
		paths: /^\/v1\/uploads(\/|$)/,
	},
	{
		name: "Models",
		description: "The models that this API serves, and their prices.",
		paths: /^\/v1\/models(\/|$)/,
	},
	{
		name: "Account and keys",
		description:
			"The balance, the ledger behind it, and the keys that may spend it.",
		paths: /^\/v1\/(account|billing|ledger|usage|keys)(\/|$)/,
	},
	{
		name: "Events",
		description:
			"What happened in the account, in one order without a gap. Whoever missed a webhook reads " +
			"on here.",
		paths: /^\/v1\/events(\/|$)/,
	},
	{
		name: "Webhooks",
		description:
			"The same events, sent to an address of yours, signed after Standard Webhooks, and " +
			"repeated for three days until they are taken.",
		paths: /^\/v1\/webhooks(\/|$)/,
	},
	{
		name: "For OpenAI's clients",
		description:
			"OpenAI's SDKs work with this as their base URL: every completion is a job, every file an " +
			"upload. Errors have OpenAI's shape here.",
		paths: SUPPORTED_PATHS,
	},
	{
		name: "Operators",
		description: "Accounts, credit and workers, behind the admin secret.",
		paths: /^\/admin(\/|$)/,
	},
];

/** The OpenAPI 3.1 document, from the same schemas that parse the requests. */
export function openapi(app: OpenAPIHono<App>): void {
	app.openAPIRegistry.registerComponent("securitySchemes", "key", {
		type: "http",
		scheme: "bearer",
		description:
			"An API key, whole: `mg_live_<account>_<secret>_<tag>`. `npm start` prints one; `POST " +
			"/v1/keys` makes more. Each operation names the scope that it needs of the key. Scopes: " +
			`${SCOPES.map((scope) => `\`${scope}\` (${ABOUT_SCOPES[scope]})`).join(", ")}.`,
	});
	app.get("/openapi.json", (c) => {
		const document = app.getOpenAPI31Document({
			openapi: "3.1.0",
			info: {
				title: "MiniGPT-4 API",
				version: "0.1.0",
				description:
					"Send a photo, ask about it, read the answer token by token. Money is in integer " +
					"micro-USD, times are RFC 3339, errors are problem details with a stable code.",
			},
			servers: [{ url: originOf(c) }],
			security: [{ key: [] }],
			tags: CHAPTERS.map(({ name, description }) => ({ name, description })),
		});
		for (const [path, operations] of Object.entries(document.paths ?? {})) {
			const chapter = CHAPTERS.find(({ paths }) => paths.test(path));
			for (const operation of Object.values(operations)) {
				if (chapter) operation.tags = [chapter.name];
				describeScopes(operation);
			}
		}
		return c.json(JSON.parse(JSON.stringify(document, nullable)));
	});
}

/** Says in words which scope an operation needs: not every reader of the document shows roles. */
function describeScopes(operation: {
	description?: string;
	security?: Record<string, string[]>[];
}): void {
	const scope = operation.security?.flatMap(({ key = [] }) => key)[0];
	if (scope)
		operation.description = [
			operation.description,
			`Needs a key with the scope \`${scope}\`.`,
		]
			.filter(Boolean)
			.join(" ");
}

/**
 * The generator writes a named schema that may be null as one that must be both, which nothing is.
 * @returns what stands for the value
 */
function nullable(_: string, value: unknown): unknown {
	if (typeof value !== "object" || value === null || !("allOf" in value))
		return value;
	const { allOf, ...rest } = value as { allOf: { type?: unknown }[] };
	const named = allOf.filter(({ type }) => !isNullable(type));
	return named.length < allOf.length
		? { ...rest, anyOf: [...named, { type: "null" }] }
		: value;
}

const isNullable = (type: unknown): boolean =>
	Array.isArray(type) && type.includes("null");
