import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { newAccount } from "../support/account.ts";
import { edge } from "../support/edge.ts";

interface Operation {
	security?: Record<string, []>[];
	parameters?: { name: string; in: string; schema: { example?: string } }[];
	requestBody?: {
		content: { "application/json"?: { schema: { $ref: string } } };
	};
}
interface Document {
	paths: Record<string, Record<string, Operation>>;
	components: { schemas: Record<string, { example?: object }> };
}

let document: Document;
let operations: { method: string; path: string; operation: Operation }[];
beforeAll(async () => {
	const answer = await edge.fetch("http://edge.test/openapi.json");
	document = await answer.json<Document>();
	operations = Object.entries(document.paths).flatMap(([path, methods]) =>
		Object.entries(methods)
			.filter(([, { security }]) => security?.length !== 0)
			.map(([method, operation]) => ({
				method: method.toUpperCase(),
				path,
				operation,
			})),
	);
});

const isAdmin = ({ security }: Operation): boolean =>
	security?.some((one) => "admin" in one) ?? false;

/** How often the tag of a key was computed since `sign` is watched. */
const tagsOf = (key: string): number => {
	const [, , account, secret] = key.split("_");
	return vi.mocked(crypto.subtle.sign).mock.calls.filter(([, , data]) => {
		const text = new TextDecoder().decode(data as Uint8Array);
		return text === `${account}_${secret}`;
	}).length;
};
afterEach(() => vi.restoreAllMocks());

const FORGED = `mg_live_0123456789abcdef_${"0".repeat(52)}_${"0".repeat(16)}`;
const KEYS = [
	["no key", undefined, "missing_key"],
	["no token", "Bearer", "missing_key"],
	["another scheme", "Basic bWdfbGl2ZQ==", "missing_key"],
	["a key that is none", "Bearer mg_live_x", "invalid_key"],
	["a key that is too long", `Bearer ${FORGED}0000`, "invalid_key"],
	["a forged key", `Bearer ${FORGED}`, "invalid_key"],
] as const;

/** What else is wrong with the request. */
const BODIES: [string, RequestInit][] = [
	["no body", {}],
	["no JSON", { body: "{", headers: { "Content-Type": "application/json" } }],
	["another type", { body: "x", headers: { "Content-Type": "text/plain" } }],
	[
		"another encoding",
		{
			body: "x",
			headers: { "Content-Type": "image/png", "Content-Encoding": "gzip" },
		},
	],
	[
		"a body over the limit of most",
		{
			body: new Uint8Array(100 * 1024),
			headers: { "Content-Type": "application/json" },
		},
	],
];

describe("an operation that needs a key", () => {
	it.each(KEYS)(
		"answers 401 to %s before it looks at anything else",
		async (_, authorization, code) => {
			expect(operations.length).toBeGreaterThan(30);
			for (const { method, path, operation } of operations) {
				// Names that are wrong wherever they are read.
				const url = `http://edge.test${path.replaceAll(/\{\w+\}/g, "%00")}`;
				const bodies = method === "GET" ? BODIES.slice(0, 1) : BODIES;
				for (const [what, init] of bodies) {
					const headers = new Headers(init.headers);
					if (authorization) headers.set("Authorization", authorization);
					// With a query that no operation has.
					const answer = await edge.fetch(`${url}?unknown=1&limit=x&after=x`, {
						...init,
						method,
						headers,
					});
					const { error, code: own } = await answer.json<{
						error?: { code: string };
						code?: string;
					}>();
					expect([
						method,
						path,
						what,
						answer.status,
						own ?? error?.code,
					]).toEqual([
						method,
						path,
						what,
						401,
						isAdmin(operation) ? "invalid_admin_secret" : code,
					]);
					expect(answer.headers.get("WWW-Authenticate")).toBe("Bearer");
				}
			}
		},
	);

	it("checks the tag of a key once, whether it is one of ours or forged", async () => {
		vi.spyOn(crypto.subtle, "sign");
		const { key } = await newAccount(10_000);
		for (const { method, path, operation } of operations) {
			if (isAdmin(operation)) continue;
			const { parameters = [], requestBody } = operation;
			const example = (name: string) =>
				parameters.find((each) => each.name === name)?.schema.example ?? "";
			const url = `http://edge.test${path.replaceAll(/\{(\w+)\}/g, (_, name) => example(name))}`;
			const { schema } = requestBody?.content["application/json"] ?? {};
			const body =
				schema &&
				document.components.schemas[schema.$ref.split("/").at(-1) as string]
					?.example;
			for (const each of [key, FORGED]) {
				vi.mocked(crypto.subtle.sign).mockClear();
				const answer = await edge.fetch(url, {
					method,
					headers: {
						Authorization: `Bearer ${each}`,
						...(body && { "Content-Type": "application/json" }),
					},
					...(body && { body: JSON.stringify(body) }),
				});
				await answer.body?.cancel();
				expect([method, path, answer.status === 401, tagsOf(each)]).toEqual([
					method,
					path,
					each === FORGED,
					1,
				]);
			}
		}
	});
});
