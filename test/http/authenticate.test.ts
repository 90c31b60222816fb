import { beforeAll, describe, expect, it } from "vitest";
import { edge } from "../support/edge.ts";

interface Operation {
	security?: Record<string, []>[];
}

let operations: { method: string; path: string; operation: Operation }[];
beforeAll(async () => {
	const document = await (
		await edge.fetch("http://edge.test/openapi.json")
	).json<{ paths: Record<string, Record<string, Operation>> }>();
	operations = Object.entries(document.paths).flatMap(([path, methods]) =>
		Object.entries(methods)
			.filter(([, { security }]) => security?.length !== 0)
			.map(([method, operation]) => ({
				method: method.toUpperCase(),
				path: path.replaceAll(/\{\w+\}/g, "%00"),
				operation,
			})),
	);
});

const KEYS = [
	["no key", undefined, "missing_key"],
	["no token", "Bearer", "missing_key"],
	["another scheme", "Basic bWdfbGl2ZQ==", "missing_key"],
	["a key that is none", "Bearer mg_live_x", "invalid_key"],
	[
		"a forged key",
		`Bearer mg_live_0123456789abcdef_${"0".repeat(52)}_${"0".repeat(20)}`,
		"invalid_key",
	],
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
				const isAdmin = operation.security?.some((one) => "admin" in one);
				const bodies = method === "GET" ? BODIES.slice(0, 1) : BODIES;
				for (const [what, init] of bodies) {
					const headers = new Headers(init.headers);
					if (authorization) headers.set("Authorization", authorization);
					// A query that no operation has, and names that are wrong wherever they are read.
					const answer = await edge.fetch(
						`http://edge.test${path}?unknown=1&limit=x&after=x`,
						{
							...init,
							method,
							headers,
						},
					);
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
						isAdmin ? "invalid_admin_secret" : code,
					]);
					expect(answer.headers.get("WWW-Authenticate")).toBe("Bearer");
				}
			}
		},
	);
});
