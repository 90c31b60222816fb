import { z } from "@hono/zod-openapi";
import { beforeAll, describe, expect, it } from "vitest";
import { app } from "../../src/app.ts";
import { edge } from "../support/edge.ts";

type Schema = Parameters<typeof z.fromJSONSchema>[0] & object;
interface Media {
	schema?: Schema & { $ref?: string; example?: unknown };
	example?: unknown;
	examples?: Record<string, { value: unknown }>;
}
interface Parameter {
	name: string;
	in: string;
	schema: Schema & { example?: unknown };
	example?: unknown;
}
interface Operation {
	summary?: string;
	operationId?: string;
	tags?: string[];
	security?: Record<string, []>[];
	parameters?: Parameter[];
	requestBody?: { content: Record<string, Media> };
	responses: Record<
		string,
		{ description: string; content?: Record<string, Media> }
	>;
}
interface Document {
	openapi: string;
	servers: { url: string }[];
	security: Record<string, []>[];
	tags: { name: string; description: string }[];
	paths: Record<string, Record<string, Operation>>;
	components: {
		schemas: Record<string, Schema & { example?: unknown }>;
		securitySchemes: Record<string, { type: string; description: string }>;
	};
}

let document: Document;
let operations: { name: string; path: string; operation: Operation }[];

beforeAll(async () => {
	document = await (
		await edge.fetch("http://api.test/openapi.json")
	).json<Document>();
	operations = Object.entries(document.paths).flatMap(([path, methods]) =>
		Object.entries(methods).map(([method, operation]) => ({
			name: `${method.toUpperCase()} ${path}`,
			path,
			operation,
		})),
	);
});

/** A JSON Schema that stands alone, and is as strict as what parses the requests. */
const standalone = (schema: Schema): Schema =>
	JSON.parse(
		JSON.stringify({
			...schema,
			$defs: document.components.schemas,
		}).replaceAll("#/components/schemas/", "#/$defs/"),
	);

/** What an example's schema says against it. */
function faults(schema: Schema, example: unknown): string[] {
	const { error } = z.fromJSONSchema(standalone(schema)).safeParse(example);
	return (
		error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`) ??
		[]
	);
}

/** The examples of a body: its own, or those of the schema that it refers to. */
function examplesOf({ schema, example, examples }: Media): unknown[] {
	if (examples) return Object.values(examples).map(({ value }) => value);
	if (example !== undefined) return [example];
	const named = schema?.$ref?.split("/").at(-1);
	const own = named ? document.components.schemas[named] : schema;
	return own?.example === undefined ? [] : [own.example];
}

/** Bytes are their own example. */
const isBinary = ({ schema }: Media) =>
	(schema as { format?: string } | undefined)?.format === "binary";

/** Every body of an operation, with the words to find it by. */
const bodiesOf = ({ requestBody, responses }: Operation) => [
	...Object.entries(requestBody?.content ?? {}).map(
		([type, media]) => [`request ${type}`, media] as const,
	),
	...Object.entries(responses).flatMap(([status, { content = {} }]) =>
		Object.entries(content).map(
			([type, media]) => [`${status} ${type}`, media] as const,
		),
	),
];

describe("the document", () => {
	it("is OpenAPI 3.1 and tells of every route of the API", () => {
		expect(document.openapi).toBe("3.1.0");
		expect(document.servers).toEqual([{ url: "http://api.test" }]);
		const served = app.routes
			.filter(
				({ method, path }) =>
					method !== "ALL" &&
					/^\/(v1|admin|\.well-known)\//.test(path) &&
					!path.includes("*"),
			)
			.map(
				({ method, path }) =>
					`${method} ${path.replace(/:(\w+)(\{.*?\})?/g, "{$1}").replace(/\/$/, "")}`,
			);
		expect(new Set(operations.map(({ name }) => name))).toEqual(
			new Set(served),
		);
	});

	it("allows null wherever it says so: no part of it is a named schema and null at once", () => {
		const parts: Record<string, unknown>[] = [];
		JSON.stringify(document, (_, value) => {
			if (typeof value === "object" && value !== null) parts.push(value);
			return value;
		});
		const isNull = ({ type, ...rest }: Record<string, unknown>) =>
			"nullable" in rest || [type].flat().includes("null");
		const contradictions = parts.filter(({ allOf }) =>
			(allOf as Record<string, unknown>[] | undefined)?.some(isNull),
		);
		expect(parts.length).toBeGreaterThan(1_000);
		expect(contradictions).toEqual([]);
		expect(parts.filter((part) => "nullable" in part)).toEqual([]);
	});

	it("has no reference that leads nowhere", () => {
		for (const [, name] of JSON.stringify(document).matchAll(
			/"#\/components\/schemas\/(\w+)"/g,
		))
			expect(document.components.schemas).toHaveProperty(name as string);
	});

	it("has a chapter for each operation, and says what each is about", () => {
		const chapters = document.tags.map(({ name }) => name);
		for (const { name, operation } of operations) {
			expect([name, operation.tags]).toEqual([name, [expect.any(String)]]);
			expect(chapters).toContain(operation.tags?.[0]);
		}
		for (const { description } of document.tags)
			expect(description).toBeTruthy();
	});

	it("says how each operation is let in, and why each might not be", () => {
		const schemes = Object.keys(document.components.securitySchemes);
		for (const { name, path, operation } of operations) {
			const wanted = operation.security ?? document.security;
			for (const way of wanted.flatMap((one) => Object.keys(one)))
				expect(schemes).toContain(way);
			const isPublic = wanted.length === 0;
			expect([name, isPublic]).toEqual([
				name,
				/^\/(v1\/models|\.well-known)/.test(path),
			]);
			expect([name, "401" in operation.responses]).toEqual([name, !isPublic]);
		}
	});
});

describe("each operation", () => {
	it("has a summary, and a name of its own", () => {
		const names = operations.map(({ name, operation }) => {
			expect([name, operation.summary]).toEqual([name, expect.any(String)]);
			expect([name, operation.operationId]).toEqual([
				name,
				expect.stringMatching(/^[a-z][A-Za-z]+$/),
			]);
			return operation.operationId;
		});
		expect(new Set(names).size).toBe(names.length);
	});

	it("has an example of what is sent and of each answer, errors with each of their codes", () => {
		const missing = operations.flatMap(({ name, operation }) =>
			bodiesOf(operation)
				.filter(
					([, media]) => !isBinary(media) && examplesOf(media).length === 0,
				)
				.map(([body]) => `${name}: ${body}`),
		);
		expect(missing).toEqual([]);
	});

	it("has an example of each parameter that its path needs", () => {
		const missing = operations.flatMap(({ name, operation }) =>
			(operation.parameters ?? [])
				.filter((parameter) => parameter.in === "path")
				.filter(
					({ example, schema }) => (example ?? schema.example) === undefined,
				)
				.map((parameter) => `${name}: ${parameter.name}`),
		);
		expect(missing).toEqual([]);
	});
});

describe("an example", () => {
	it("is what its schema allows", () => {
		const wrong = operations.flatMap(({ name, operation }) =>
			bodiesOf(operation).flatMap(([body, media]) =>
				media.schema
					? examplesOf(media).flatMap((example) =>
							faults(media.schema as Schema, example).map(
								(fault) => `${name}: ${body}: ${fault}`,
							),
						)
					: [],
			),
		);
		expect(wrong).toEqual([]);
	});

	it("allows null where it may come: a wait that nobody can tell, a redelivery of many", () => {
		const named = (name: string) => document.components.schemas[name] as Schema;
		const exampleOf = (name: string) =>
			document.components.schemas[name]?.example as object;
		const queue = { position: 3, eta: null };
		const job = { ...exampleOf("Job"), status: "queued", queue };
		expect(faults(named("Job"), job)).toEqual([]);
		const redelivery = {
			...exampleOf("Redelivery"),
			delivery: null,
			after: 41,
		};
		expect(faults(named("Redelivery"), redelivery)).toEqual([]);
		// And what is there is still held to its own schema.
		const wrong = { ...redelivery, delivery: { id: 1 } };
		expect(faults(named("Redelivery"), wrong)).not.toEqual([]);
	});

	it("that its schema does not allow is found", () => {
		const { Job } = document.components.schemas as { Job: Schema };
		expect(faults(Job, { id: 1 })).not.toEqual([]);
		expect(
			faults(
				{ $ref: "#/components/schemas/JobRequest" },
				{ prompt: "Hm?", max_tokens: 0 },
			),
		).not.toEqual([]);
	});
});
