import { expect, it } from "vitest";
import { app } from "../../src/app.ts";
import { edge } from "../support/edge.ts";

interface Operation {
	summary?: string;
	responses: Record<string, unknown>;
}
interface Document {
	openapi: string;
	paths: Record<string, Record<string, Operation>>;
	components: { schemas: Record<string, unknown> };
}

const read = async () =>
	(await edge.fetch("http://api.test/openapi.json")).json<Document>();

it("the document is OpenAPI 3.1 and tells of every route of the API", async () => {
	const document = await read();
	expect(document.openapi).toBe("3.1.0");
	const told = Object.entries(document.paths).flatMap(([path, operations]) =>
		Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
	);
	const served = app.routes
		.filter(
			({ method, path }) => method !== "ALL" && /^\/(v1|admin)\//.test(path),
		)
		.map(
			({ method, path }) =>
				`${method} ${path.replace(/:(\w+)/g, "{$1}").replace(/\/$/, "")}`,
		);
	expect(new Set(told)).toEqual(new Set(served));
});

it("each operation has a summary, and every reference leads somewhere", async () => {
	const document = await read();
	for (const operations of Object.values(document.paths))
		for (const operation of Object.values(operations)) {
			expect(operation.summary).toBeTruthy();
			expect(Object.keys(operation.responses)).not.toHaveLength(0);
		}
	const text = JSON.stringify(document);
	for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g))
		expect(document.components.schemas).toHaveProperty(name as string);
});
