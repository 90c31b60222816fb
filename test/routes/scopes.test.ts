/** The scope that each operation of the OpenAPI document needs of a key. */
import { beforeAll, describe, expect, it } from "vitest";
import { issueKey } from "../../src/api-key.ts";
import { config } from "../../src/env.ts";
import { unwrap } from "../../src/errors.ts";
import { SCOPES, type Scope } from "../../src/scopes.ts";
import {
	bindings,
	dump,
	newAccount,
	type TestAccount,
} from "../support/account.ts";
import { call, ended, JOB_REQUEST, PNG, type Wire } from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { fakeWorker, words } from "../support/jobs.ts";

interface Operation {
	id: string;
	method: string;
	path: string;
	description: string;
	/** What it names for a key; null where it takes no key. */
	scopes: string[] | null;
	body: string | undefined;
	parameters: Wire[];
}

let operations: Operation[];

beforeAll(async () => {
	const response = await edge.fetch("http://edge.test/openapi.json");
	const { paths, components, security } = await response.json<Wire>();
	operations = Object.entries<Wire>(paths).flatMap(([path, methods]) =>
		Object.entries<Wire>(methods).map(([method, operation]) => {
			const wanted = operation.security ?? security;
			const content = operation.requestBody?.content["application/json"];
			const named = content?.schema.$ref?.split("/").at(-1);
			const example = named && components.schemas[named].example;
			return {
				id: operation.operationId,
				method: method.toUpperCase(),
				path,
				description: operation.description ?? "",
				scopes: wanted.find((one: Wire) => "key" in one)?.key ?? null,
				body: example && JSON.stringify(example),
				parameters: operation.parameters ?? [],
			};
		}),
	);
});

const isForOperators = ({ path }: Operation) => path.startsWith("/admin");
const isOpen = ({ path }: Operation) =>
	/^\/(v1\/models|\.well-known)/.test(path);

/** Sends what the document has as an example. */
function send({ method, path, body, parameters }: Operation, key: string) {
	const example = (name: string) =>
		parameters.find((each) => each.name === name)?.schema.example;
	const named = path.replaceAll(/\{(\w+)\}/g, (_, name) => example(name));
	return edge.fetch(`http://edge.test${named}`, {
		method,
		headers: {
			Authorization: `Bearer ${key}`,
			...(body && { "Content-Type": "application/json" }),
		},
		body: body ?? (path === "/v1/files" && method === "POST" ? form() : null),
	});
}
function form(): FormData {
	const made = new FormData();
	const photo = Uint8Array.fromBase64(PNG.split(",")[1] as string);
	made.set("purpose", "vision");
	made.set("file", new File([photo], "photo.png", { type: "image/png" }));
	return made;
}

/** A key of the account with these scopes, and no others. */
async function keyWith(
	account: TestAccount,
	scopes: readonly Scope[],
): Promise<string> {
	const [signer] = config(bindings).KEY_SECRETS as [string];
	const { key, secretHash } = await issueKey(signer, account.id);
	unwrap(await account.stub.createKey({ name: "k", secretHash, scopes }));
	return key;
}

describe("each operation that takes a key", () => {
	it("names the one scope that it needs, for programs and in words", () => {
		const keyed = operations.filter((each) => !isForOperators(each));
		expect(keyed.length).toBeGreaterThan(30);
		for (const each of keyed) {
			const { id, scopes, description } = each;
			if (isOpen(each)) {
				expect([id, scopes]).toEqual([id, null]);
				continue;
			}
			expect([id, scopes]).toEqual([id, [expect.any(String)]]);
			expect(SCOPES).toContain(scopes?.[0]);
			expect([id, description]).toEqual([
				id,
				expect.stringContaining(
					`Needs a key with the scope \`${scopes?.[0]}\`.`,
				),
			]);
		}
		const used = new Set(keyed.flatMap(({ scopes }) => scopes ?? []));
		expect([...used].sort()).toEqual([...SCOPES].sort());
	});

	it("refuses a key that has all the others, says what it lacks, and changes nothing", async () => {
		const account = await newAccount(1_000_000);
		const lacking = new Map<string, string>();
		for (const scope of SCOPES)
			lacking.set(
				scope,
				await keyWith(
					account,
					SCOPES.filter((each) => each !== scope),
				),
			);
		const before = await dump(account.stub);
		for (const each of operations) {
			const [scope] = each.scopes ?? [];
			if (!scope) continue;
			const response = await send(each, lacking.get(scope) as string);
			const body = await response.json<Wire>();
			const scopes = SCOPES.filter((one) => one !== scope);
			expect([each.id, response.status, body.code ?? body.error.code]).toEqual([
				each.id,
				403,
				"scope_missing",
			]);
			if (body.error)
				expect(body.error.message).toContain(`the scope \`${scope}\``);
			else expect(body).toMatchObject({ scope, scopes });
		}
		expect(await dump(account.stub)).toEqual(before);
	});

	it("lets in a key that has its scope alone", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(1_000_000);
		const having = new Map<string, string>();
		for (const scope of SCOPES)
			having.set(scope, await keyWith(account, [scope]));
		for (const each of operations) {
			const [scope] = each.scopes ?? [];
			if (!scope) continue;
			const response = await send(each, having.get(scope) as string);
			const isJson = response.headers.get("Content-Type")?.includes("json");
			const { code, field }: Wire = isJson ? await response.json() : {};
			if (!isJson) await response.body?.cancel();
			// It can give its new key no scope of the example's, which it lacks itself.
			if (each.id === "createKey")
				expect([code, field]).toEqual(["scope_missing", "scopes"]);
			else expect([each.id, response.status]).not.toEqual([each.id, 403]);
		}
	});
});

describe("a key that may create jobs and not read them", () => {
	it("goes on from no job: the model could tell what was said in it", async () => {
		fakeWorker({ tokens: words(3) });
		const account = await newAccount(1_000_000);
		const key = await keyWith(account, ["jobs:write"]);
		const created = await call({ key }, "", { body: JOB_REQUEST });
		const { id } = await created.json<Wire>();
		await ended(account, id);
		const more = { prompt: "Say it again.", previous_job: id };
		const refused = await call({ key }, "", { body: more });
		expect(await refused.json()).toMatchObject({
			status: 403,
			code: "scope_missing",
			field: "previous_job",
			scope: "jobs:read",
			scopes: ["jobs:write"],
		});
		const both = await keyWith(account, ["jobs:write", "jobs:read"]);
		expect((await call({ key: both }, "", { body: more })).status).toBe(202);
	});
});
