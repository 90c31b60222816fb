/**
 * What a key that is bound to pages, and so is public, may do: every operation of the OpenAPI
 * document.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { newJobId, newUploadId } from "../../src/ids.ts";
import { dump, newAccount, type TestAccount } from "../support/account.ts";
import { ended, HOLD, JOB_REQUEST, PNG, type Wire } from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { fakeWorker, words } from "../support/jobs.ts";

const HOME = "https://app.example.com";
const photo = Uint8Array.fromBase64(PNG.split(",")[1] as string);

/** Whose page calls: without an origin it is no page, but a server. */
interface Page {
	key: string;
	origin?: string;
}
/** What an operation is about, where its path names something. */
type Kind = "job" | "upload";
interface Things {
	job: string;
	upload: string;
}

/** `own`: about what the key made itself; `refused`: not for such keys; `open`: without any key. */
interface Reach {
	reach: "own" | "refused" | "open";
	of?: Kind;
	/** Status of an answer that is good. */
	ok?: number;
	body?: () => unknown;
	headers?: Record<string, string>;
}

const json = (body: unknown) => ({ body: () => body });
const hook = { url: "https://hooks.example.org" };
const form = () => {
	const made = new FormData();
	made.set("purpose", "vision");
	made.set("file", new File([photo], "photo.png", { type: "image/png" }));
	return made;
};

const REACH: Record<string, Reach> = {
	createJob: { reach: "own", ok: 202, ...json(JOB_REQUEST) },
	putJob: { reach: "own", of: "job", ok: 200, ...json(JOB_REQUEST) },
	getJob: { reach: "own", of: "job", ok: 200 },
	listJobs: { reach: "own", ok: 200 },
	followJob: { reach: "own", of: "job", ok: 200 },
	cancelJob: { reach: "own", of: "job", ok: 200 },
	deleteJob: { reach: "own", of: "job", ok: 204 },
	createQuote: { reach: "own", ok: 200, ...json(JOB_REQUEST) },
	createUpload: {
		reach: "own",
		ok: 201,
		headers: { "Content-Type": "image/png" },
		body: () => photo,
	},
	finalizeUpload: { reach: "own", of: "upload", ok: 200 },
	getUpload: { reach: "own", of: "upload", ok: 200 },
	listUploads: { reach: "own", ok: 200 },
	deleteUpload: { reach: "own", of: "upload", ok: 204 },
	createFile: { reach: "own", ok: 200, body: form },
	getFile: { reach: "own", of: "upload", ok: 200 },
	getFileContent: { reach: "own", of: "upload", ok: 200 },
	listFiles: { reach: "own", ok: 200 },
	deleteFile: { reach: "own", of: "upload", ok: 200 },
	createChatCompletion: {
		reach: "own",
		ok: 200,
		...json({ model: "nano", messages: [{ role: "user", content: "Hi" }] }),
	},
	getReceipt: { reach: "own", of: "job", ok: 200 },
	listReceiptKeys: { reach: "open" },
	listModels: { reach: "open" },
	getModel: { reach: "open" },
	getAccount: { reach: "refused" },
	createTopUp: { reach: "refused", ...json({ amount: 1_000_000 }) },
	closeAccount: { reach: "refused" },
	getAutoTopUp: { reach: "refused" },
	setAutoTopUp: {
		reach: "refused",
		...json({ below: 1, amount: 1_000_000, monthly_cap: 1_000_000 }),
	},
	endAutoTopUp: { reach: "refused" },
	listLedger: { reach: "refused" },
	listUsage: { reach: "refused" },
	listKeys: { reach: "refused" },
	createKey: { reach: "refused", ...json({ name: "k" }) },
	getKey: { reach: "refused" },
	changeKey: { reach: "refused", ...json({ name: "k" }) },
	rotateKey: { reach: "refused", ...json({ grace: 0 }) },
	revokeKey: { reach: "refused" },
	listEvents: { reach: "refused" },
	listWebhooks: { reach: "refused" },
	createWebhook: { reach: "refused", ...json(hook) },
	getWebhook: { reach: "refused" },
	changeWebhook: { reach: "refused", ...json({ description: "mine" }) },
	deleteWebhook: { reach: "refused" },
	testWebhook: { reach: "refused" },
	redeliver: { reach: "refused", ...json({ after: 0 }) },
	listDeliveries: { reach: "refused" },
	rotateWebhookSecret: { reach: "refused" },
	getWebhookSecret: { reach: "refused" },
	rotateWebhook: { reach: "refused" },
};

interface Operation {
	id: string;
	method: string;
	path: string;
}

/** Every operation of the document but those of the admin secret. */
async function operations(): Promise<Operation[]> {
	const response = await edge.fetch("http://edge.test/openapi.json");
	const { paths } = await response.json<Wire>();
	return Object.entries<Wire>(paths).flatMap(([path, methods]) =>
		Object.entries<Wire>(methods).map(([method, { operationId }]) => ({
			id: operationId,
			method: method.toUpperCase(),
			path,
		})),
	);
}
const isForOperators = ({ path }: Operation) => path.startsWith("/admin");

/** Some id for a path that names neither a job nor an upload. */
const NAMES: Record<string, string> = {
	"/v1/models/{id}": "nano",
	"/v1/keys/{id}": `key_${newJobId(1)}`,
	"/v1/webhooks/{id}": `wh_${newJobId(1)}`,
};

function send(
	page: Page,
	{ id, method, path }: Operation,
	things: Things = { job: newJobId(1), upload: newUploadId(1) },
): Promise<Response> {
	const sent: Partial<Reach> = REACH[id] ?? {};
	const named = Object.entries(NAMES).find(([start]) => path.startsWith(start));
	const name = sent.of ? things[sent.of] : (named?.[1] ?? "x");
	const body = sent.body?.();
	const raw = body instanceof FormData || body instanceof Uint8Array;
	return edge.fetch(`http://edge.test${path.replace("{id}", name)}`, {
		method,
		headers: {
			Authorization: `Bearer ${page.key}`,
			...(page.origin && { Origin: page.origin }),
			...(body !== undefined && !raw && { "Content-Type": "application/json" }),
			...sent.headers,
		},
		body:
			body === undefined
				? null
				: raw
					? (body as BodyInit)
					: JSON.stringify(body),
	});
}

/** Status and body, but for what differs from call to call. */
async function seen(response: Response): Promise<[number, string]> {
	const text = (await response.text()).replace(/req_[0-9A-Z]{26}/g, "req");
	return [response.status, text];
}
const codeOf = async (response: Response) => {
	const body = await response.json<Wire>();
	return [response.status, body.code ?? body.error.code];
};

let account: TestAccount;
let owner: Page;
let page: Page;
let other: Page;

async function keyFor(name: string): Promise<Page & { id: string }> {
	const response = await edge.fetch("http://edge.test/v1/keys", {
		method: "POST",
		headers: {
			Authorization: `Bearer ${account.key}`,
			"Content-Type": "application/json",
		},
		body: JSON.stringify({ name, origins: [HOME] }),
	});
	const { key, id } = await response.json<Wire>();
	return { key, id, origin: HOME };
}
const call = (
	{ key, origin }: Page,
	path: string,
	body?: unknown,
	{ method, ...headers }: Record<string, string> = {},
) =>
	edge.fetch(`http://edge.test/v1${path}`, {
		method: method ?? (body === undefined ? "GET" : "POST"),
		headers: {
			Authorization: `Bearer ${key}`,
			...(origin && { Origin: origin }),
			...(body !== undefined && { "Content-Type": "application/json" }),
			...headers,
		},
		body: body === undefined ? null : JSON.stringify(body),
	});

/** A job that has ended and an upload, made with this key. */
async function made(by: Page): Promise<Things> {
	const job = await (
		await call(by, "/jobs", { ...JOB_REQUEST, prompt: "What is my secret?" })
	).json<Wire>();
	const upload = await edge.fetch("http://edge.test/v1/uploads", {
		method: "POST",
		headers: {
			Authorization: `Bearer ${by.key}`,
			...(by.origin && { Origin: by.origin }),
			"Content-Type": "image/png",
		},
		body: photo,
	});
	expect(upload.status).toBe(201);
	await ended(account, job.id);
	return { job: job.id, upload: (await upload.json<Wire>()).id };
}

beforeEach(async () => {
	fakeWorker({ tokens: words(3) });
	account = await newAccount(1_000_000);
	owner = { key: account.key };
	page = await keyFor("page");
	other = await keyFor("other");
});

describe("a key that is bound to pages, at every operation of the API", () => {
	it("has its place in the table: a new operation is not let in by default", async () => {
		const all = await operations();
		expect(
			all
				.filter((each) => !isForOperators(each))
				.map(({ id }) => id)
				.sort(),
		).toEqual(Object.keys(REACH).sort());
	});

	it("is refused what is all of the account's, anywhere, and nothing changes", async () => {
		const before = await dump(account.stub);
		for (const operation of await operations()) {
			if (REACH[operation.id]?.reach !== "refused") continue;
			for (const from of [page, { key: page.key }])
				expect([
					operation.id,
					...(await codeOf(await send(from, operation))),
				]).toEqual([operation.id, 403, "bound_key"]);
		}
		expect(await dump(account.stub)).toEqual(before);
	});

	it("opens nothing from a server, nor from another page, not even its own", async () => {
		const own = await made(page);
		const before = await dump(account.stub);
		for (const operation of await operations()) {
			if (REACH[operation.id]?.reach !== "own") continue;
			for (const [origin, code] of [
				[undefined, "origin_required"],
				["https://evil.example", "origin_not_allowed"],
			] as const) {
				const from = { key: page.key, ...(origin && { origin }) };
				expect([
					operation.id,
					...(await codeOf(await send(from, operation, own))),
				]).toEqual([operation.id, 403, code]);
			}
		}
		expect(await dump(account.stub)).toEqual(before);
	});

	it("finds others' things as if they did not exist, and touches none of them", async () => {
		const things = [await made(owner), await made(other)];
		await made(page);
		const before = await dump(account.stub);
		for (const operation of await operations()) {
			const { reach, of }: Partial<Reach> = REACH[operation.id] ?? {};
			if (reach !== "own" || !of || operation.id === "putJob") continue;
			const nothing = await seen(await send(page, operation));
			expect([operation.id, nothing[0]]).toEqual([operation.id, 404]);
			for (const thing of things)
				expect([
					operation.id,
					...(await seen(await send(page, operation, thing))),
				]).toEqual([operation.id, ...nothing]);
		}
		expect(await dump(account.stub)).toEqual(before);
	});

	it("lists its own alone", async () => {
		const [mine] = [await made(page), await made(owner), await made(other)];
		for (const [path, id] of [
			["/jobs", mine.job],
			["/uploads", mine.upload],
			["/files", mine.upload],
		] as const) {
			const { data } = await (await call(page, path)).json<Wire>();
			expect([path, data.map((each: Wire) => each.id)]).toEqual([path, [id]]);
			const all = await (await call(owner, path)).json<Wire>();
			expect([path, all.data.length]).toEqual([path, 3]);
		}
	});

	it("does all the rest with its own", async () => {
		for (const operation of await operations()) {
			const entry = REACH[operation.id];
			if (entry?.reach !== "own") continue;
			const own = entry.of ? await made(page) : undefined;
			const response =
				operation.id === "putJob"
					? await call(
							page,
							`/jobs/${own?.job}`,
							{ ...JOB_REQUEST, prompt: "What is my secret?" },
							{ method: "PUT" },
						)
					: await send(page, operation, own);
			await response.arrayBuffer();
			expect([operation.id, response.status]).toEqual([operation.id, entry.ok]);
		}
	});

	it("is no better than none where no key is needed", async () => {
		for (const operation of await operations()) {
			if (REACH[operation.id]?.reach !== "open") continue;
			const response = await send(page, operation);
			expect(await seen(response)).toEqual(
				await seen(await send({ key: "none" }, operation)),
			);
		}
	});

	it("opens no operator's route", async () => {
		for (const operation of await operations())
			if (isForOperators(operation)) {
				const response = await send(page, operation);
				await response.body?.cancel();
				expect([operation.id, response.status]).toEqual([operation.id, 401]);
			}
	});
});

describe("a job of a key that is bound to pages", () => {
	it("has no image of others, and goes on from no job of others", async () => {
		for (const by of [owner, other]) {
			const { job, upload } = await made(by);
			const nothing = { job: newJobId(1), upload: newUploadId(1) };
			for (const [theirs, none] of [
				[
					{ ...JOB_REQUEST, images: [{ upload }] },
					{ ...JOB_REQUEST, images: [{ upload: nothing.upload }] },
				],
				[
					{ prompt: "Go on", previous_job: job },
					{ prompt: "Go on", previous_job: nothing.job },
				],
			]) {
				const refused = await seen(await call(page, "/jobs", theirs));
				expect(refused).toEqual(await seen(await call(page, "/jobs", none)));
				expect(refused[0]).toBe(404);
			}
			const chat = await call(page, "/chat/completions", {
				model: "nano",
				messages: [
					{
						role: "user",
						content: [{ type: "image_url", image_url: { url: upload } }],
					},
				],
			});
			expect(await codeOf(chat)).toEqual([404, "upload_not_found"]);
		}
		const own = await made(page);
		const more = { prompt: "Go on", previous_job: own.job };
		expect((await call(page, "/jobs", more)).status).toBe(202);
	});

	it("under an id that another key has used is refused by the id alone, gone or not", async () => {
		const theirs = await made(owner);
		const put = (by: Page, prompt: string) =>
			call(
				by,
				`/jobs/${theirs.job}`,
				{ ...JOB_REQUEST, prompt },
				{ method: "PUT" },
			);
		const before = await dump(account.stub);
		for (const prompt of ["What is my secret?", "Another?"])
			expect(await codeOf(await put(page, prompt))).toEqual([
				409,
				"id_conflict",
			]);
		expect(await dump(account.stub)).toEqual(before);
		await call(owner, `/jobs/${theirs.job}`, undefined, { method: "DELETE" });
		expect(await codeOf(await put(page, "What is my secret?"))).toEqual([
			409,
			"id_conflict",
		]);
		expect(await codeOf(await put(owner, "What is my secret?"))).toEqual([
			410,
			"job_gone",
		]);
	});

	it("has Idempotency-Keys of its own: the same one of another key is another job", async () => {
		const name = { "Idempotency-Key": "order-7" };
		const ids = new Set<string>();
		for (const by of [owner, page, other]) {
			const first = await call(by, "/jobs", JOB_REQUEST, name);
			const { id } = await first.json<Wire>();
			const again = await call(by, "/jobs", JOB_REQUEST, name);
			expect(again.headers.get("Idempotent-Replayed")).toBe("true");
			expect((await again.json<Wire>()).id).toBe(id);
			// Nor does it tell by a conflict that the name is taken.
			const else_ = await call(by, "/jobs", { prompt: `By ${ids.size}` }, name);
			expect(await codeOf(else_)).toEqual([409, "idempotency_conflict"]);
			ids.add(id);
		}
		expect(ids.size).toBe(3);
	});

	it("names no webhook, and is told so by its field", async () => {
		const before = await dump(account.stub);
		const webhook = { url: "https://hooks.example.org/in" };
		for (const [path, method] of [
			["/jobs", "POST"],
			[`/jobs/${newJobId(Date.now())}`, "PUT"],
		] as const) {
			const refused = await call(
				page,
				path,
				{ ...JOB_REQUEST, webhook },
				{ method },
			);
			const { status, code, field } = await refused.json<Wire>();
			expect([status, code, field]).toEqual([403, "bound_key", "webhook"]);
		}
		expect(await dump(account.stub)).toEqual(before);
	});

	it("that the account cannot pay is refused without telling what it has", async () => {
		account = await newAccount(200);
		const poor = await keyFor("page");
		const text = await (await call(poor, "/jobs", JOB_REQUEST)).text();
		expect(JSON.parse(text)).toMatchObject({
			status: 402,
			code: "insufficient_credit",
			price: HOLD,
		});
		expect(text).not.toContain("200");
		expect(text).not.toContain(String(HOLD - 200));
		const told = await (
			await call({ key: account.key }, "/jobs", JOB_REQUEST)
		).json<Wire>();
		expect([told.available, told.missing]).toEqual([200, HOLD - 200]);
	});
});

describe("two keys that are bound to the same pages", () => {
	it("do not see each other's, nor a revoked one's; the owner sees all", async () => {
		const first = await keyFor("website");
		const things = await made(first);
		const revoked = await call(owner, `/keys/${first.id}`, undefined, {
			method: "DELETE",
		});
		expect(revoked.status).toBe(200);
		const second = await keyFor("website");
		for (const [by, status] of [
			[first, 401],
			[second, 404],
			[page, 404],
			[owner, 200],
		] as const)
			for (const path of [
				`/jobs/${things.job}`,
				`/jobs/${things.job}/events`,
				`/uploads/${things.upload}`,
				`/files/${things.upload}/content`,
			]) {
				const response = await call(by, path);
				await response.arrayBuffer();
				expect([path, response.status]).toEqual([path, status]);
			}
	});
});

describe("a page of the API's own origin", () => {
	it("reads with its key, although browsers name no origin there", async () => {
		const home = "http://edge.test";
		const response = await call(owner, "/keys", { name: "p", origins: [home] });
		const { key } = await response.json<Wire>();
		const site = (of: string) =>
			call({ key }, "/jobs", undefined, { "Sec-Fetch-Site": of });
		expect((await site("same-origin")).status).toBe(200);
		for (const of of ["same-site", "cross-site", "none"])
			expect(await codeOf(await site(of))).toEqual([403, "origin_required"]);
		// A page elsewhere cannot be the API's own.
		const elsewhere = call({ key: page.key }, "/jobs", undefined, {
			"Sec-Fetch-Site": "same-origin",
		});
		expect(await codeOf(await elsewhere)).toEqual([403, "origin_not_allowed"]);
	});
});
