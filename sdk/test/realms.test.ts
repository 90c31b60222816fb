/** Objects from another realm or from a package, which `instanceof` does not recognize. */
import { createHmac } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { createContext, runInContext } from "node:vm";
import { describe, expect, it } from "vitest";
import type { Fetch, UploadSource } from "../src/index.ts";
import { webhooks } from "../src/index.ts";
import { hashOf, logOf, sse } from "./log.ts";
import { requirePackage } from "./packages.ts";
import { clientOf, json, serve, type TestServer } from "./server.ts";

const PHOTO = new URL("../../samples/cat.jpg", import.meta.url).pathname;
const cat = await readFile(PHOTO);
const PIECES = [" A", " cat", " — 猫"];
const TEXT = PIECES.join("");

// biome-ignore lint/suspicious/noExplicitAny: packages without types, or with types of their own
type Foreign = any;
const undici: Foreign = requirePackage("undici");
const nodeFetch2: Foreign = requirePackage("node-fetch-2");
const nodeFetch3: Foreign = await import(
	requirePackage.resolve("node-fetch-3")
);
const { Blob: PackageBlob }: Foreign = await import(
	requirePackage.resolve("fetch-blob")
);
const { AbortController: PackageController }: Foreign =
	requirePackage("abort-controller");
const { URL: PackageURL }: Foreign = requirePackage("whatwg-url");

/** Another realm, as jest runs its tests in. */
const realm = createContext({ bytes: [...cat], PHOTO });
const foreign = (code: string): Foreign => runInContext(code, realm);

/** A server that plays the API and the bucket. */
function api(): Promise<TestServer> {
	const log = logOf(PIECES);
	const job = {
		status: "succeeded",
		output: { text: TEXT },
		sha256: hashOf(TEXT),
	};
	return serve(({ method, path, headers, body }, response) => {
		if (headers.accept === "text/event-stream") {
			response.writeHead(200, { "Content-Type": "text/event-stream" });
			return response.end(sse(log));
		}
		if (method === "PUT") return response.end();
		if (path.endsWith("/finalize")) return json(response, 200, { id: "img_2" });
		if (headers["content-type"] === "application/json") {
			const url = `http://${headers.host}/store`;
			const headersOfPut = {
				"Content-Type": JSON.parse(`${body}`).content_type,
			};
			const put = { url, headers: headersOfPut };
			return json(response, 201, { id: "img_2", put });
		}
		if (path === "/v1/uploads") return json(response, 201, { id: "img_1" });
		if (path === "/slow") return undefined;
		return json(response, 200, job);
	});
}

describe("an image is accepted", () => {
	const chunks = function* () {
		for (let at = 0; at < cat.length; at += 10_000)
			yield new Uint8Array(cat.subarray(at, at + 10_000));
	};
	it.each<[string, () => UploadSource]>([
		["a Uint8Array of another realm", () => foreign("Uint8Array.from(bytes)")],
		[
			"a part of a buffer of another realm",
			() => foreign("Uint8Array.from([7, ...bytes, 7]).subarray(1, -1)"),
		],
		[
			"an ArrayBuffer of another realm",
			() => foreign("Uint8Array.from(bytes).buffer"),
		],
		[
			"a SharedArrayBuffer of another realm",
			() =>
				foreign(
					`(() => {
						const shared = new SharedArrayBuffer(bytes.length);
						new Uint8Array(shared).set(bytes);
						return shared;
					})()`,
				),
		],
		["a Uint8ClampedArray", () => new Uint8ClampedArray(cat)],
		[
			"a DataView of another realm",
			() => foreign("new DataView(Uint8Array.from(bytes).buffer)"),
		],
		["a Buffer", () => Buffer.from(cat)],
		["a Blob of a package", () => new PackageBlob([cat])],
		["a URL of a package", () => new PackageURL(`file://${PHOTO}`)],
		["fs.createReadStream", () => createReadStream(PHOTO)],
		["a stream of Node", () => Readable.from(chunks())],
		["a web stream", () => new Blob([cat]).stream()],
		["a stream of a package", () => new PackageBlob([cat]).stream()],
		[
			"whatever can be iterated",
			async function* () {
				yield* chunks();
			},
		],
		[
			"what another realm iterates",
			() => foreign("(async function* () { yield Uint8Array.from(bytes); })()"),
		],
	])("from %s", async (_, source) => {
		const server = await api();
		expect(await clientOf(server).uploads.create(source())).toEqual({
			id: "img_1",
		});
		expect(server.asked[0]?.body.equals(cat)).toBe(true);
		expect(server.asked[0]?.headers["content-type"]).toBe("image/jpeg");
		// In a job as well.
		await clientOf(server).jobs.run({ images: [source()], prompt: "Hi" });
		expect(server.asked[1]?.body.equals(cat)).toBe(true);
		expect(JSON.parse(`${server.asked[2]?.body}`)).toEqual({
			images: [{ upload: "img_1" }],
			prompt: "Hi",
		});
	});

	it("from a package's URL object, which the API fetches", async () => {
		const server = await api();
		const image = new PackageURL("https://example.com/a.jpg");
		await clientOf(server).jobs.run({ images: [image], prompt: "Hi" });
		expect(JSON.parse(`${server.asked[0]?.body}`).images).toEqual([
			{ url: "https://example.com/a.jpg" },
		]);
	});

	it("from nothing else; the error says what to pass", async () => {
		const server = await api();
		const { uploads } = clientOf(server);
		const refused = (source: Foreign) =>
			uploads.create(source).then(String, ({ code }) => code);
		for (const source of [
			{},
			createReadStream("/nowhere.jpg"),
			createReadStream(PHOTO, "utf8"),
		])
			expect(await refused(source)).toBe("file_unreadable");
		const endless = async function* () {
			for (;;) yield new Uint8Array(1024 * 1024);
		};
		expect(await refused(endless())).toBe("image_too_large");
		expect(await refused(Readable.from(endless()))).toBe("image_too_large");
		expect(server.asked).toEqual([]);
	});
});

describe("a signal from a package", () => {
	it("ends a call, with its reason if it has one", async () => {
		const server = await serve(() => {});
		const controller = new PackageController();
		const call = clientOf(server).account.get({ signal: controller.signal });
		await expect.poll(() => server.asked.length).toBe(1);
		controller.abort();
		await expect(call).rejects.toThrow(/abort/i);
		await expect.poll(server.hungUp).toBe(1);
		const reason = new Error("enough");
		const signal = {
			aborted: true,
			reason,
			addEventListener() {},
		};
		await expect(clientOf(server).account.get({ signal })).rejects.toBe(reason);
	});

	it("ends a stream that is silent", async () => {
		const server = await serve(() => {});
		const controller = new PackageController();
		const { signal } = controller;
		const silent = Readable.from(
			(async function* () {
				yield cat;
				controller.abort();
				await new Promise(() => {});
			})(),
		);
		const upload = clientOf(server).uploads.create(silent, { signal });
		await expect(upload).rejects.toThrow(/abort/i);
		expect(silent.destroyed).toBe(true);
	});
});

describe.each<[string, Fetch]>([
	["undici's", undici.fetch],
	["node-fetch 2's", nodeFetch2],
	["node-fetch 3's", nodeFetch3.default],
])("%s fetch", (_, fetch) => {
	it("reads a job's stream, and errors", async () => {
		const server = await api();
		const { jobs } = clientOf(server, { fetch });
		expect((await jobs.run({ prompt: "Hi" })).output.text).toBe(TEXT);
		const refusing = await serve((_, response) =>
			json(
				response,
				402,
				{ code: "insufficient_credit" },
				{ "X-Request-Id": "1" },
			),
		);
		await expect(
			clientOf(refusing, { fetch }).account.get(),
		).rejects.toMatchObject({ code: "insufficient_credit", requestId: "1" });
	});

	it("carries images, small and large, and reads one from a URL", async () => {
		const server = await api();
		const { uploads } = clientOf(server, { fetch });
		await uploads.create(cat);
		expect(server.asked[0]?.body.equals(cat)).toBe(true);
		const large = Buffer.concat([cat, Buffer.alloc(5 * 1024 * 1024)]);
		await uploads.create(large);
		expect(server.asked[2]?.body.equals(large)).toBe(true);
		const photos = await serve((_, response) => response.end(cat));
		await uploads.create(`${photos.url}/cat.jpg`);
		expect(server.asked[4]?.body.equals(cat)).toBe(true);
	});

	it("is aborted by a signal from a package", async () => {
		const server = await serve(() => {});
		const controller = new PackageController();
		const { signal } = controller;
		const call = clientOf(server, { fetch }).account.get({ signal });
		await expect.poll(() => server.asked.length).toBe(1);
		controller.abort();
		await expect(call).rejects.toThrow(/abort/i);
	});
});

describe("a webhook is verified", () => {
	const SECRET = `whsec_${Buffer.from("a secret of 24 bytes....").toString("base64")}`;
	const BODY = JSON.stringify({ type: "webhook.test", data: { text: "猫" } });
	const now = { now: 1_796_000_000_000 };
	const message = {
		"webhook-id": "evt_1",
		"webhook-timestamp": "1796000000",
		"webhook-signature": `v1,${createHmac(
			"sha256",
			Buffer.from(SECRET.slice(6), "base64"),
		)
			.update(`evt_1.1796000000.${BODY}`)
			.digest("base64")}`,
	};
	realm.message = message;
	realm.body = [...Buffer.from(BODY)];

	it.each<[string, () => Foreign]>([
		["undici's Headers", () => new undici.Headers(message)],
		["node-fetch 2's Headers", () => new nodeFetch2.Headers(message)],
		["node-fetch 3's Headers", () => new nodeFetch3.Headers(message)],
		["a Map", () => new Map(Object.entries(message))],
		["an object of another realm", () => foreign("({ ...message })")],
		[
			"lists of another realm",
			() =>
				foreign(
					"Object.fromEntries(Object.entries(message).map(([name, value]) => [name, [value]]))",
				),
		],
		["an object with a header called get", () => ({ ...message, get: "x" })],
	])("with %s", async (_, headers) => {
		expect(await webhooks.verify(BODY, headers(), SECRET, now)).toEqual(
			JSON.parse(BODY),
		);
	});

	it.each<[string, () => Foreign]>([
		["a Uint8Array of another realm", () => foreign("Uint8Array.from(body)")],
		[
			"an ArrayBuffer of another realm",
			() => foreign("Uint8Array.from(body).buffer"),
		],
		["a Buffer", () => Buffer.from(BODY)],
		[
			"a DataView of another realm",
			() => foreign("new DataView(Uint8Array.from([0, ...body]).buffer, 1)"),
		],
	])("from %s", async (_, body) => {
		expect(await webhooks.verify(body(), message, SECRET, now)).toEqual(
			JSON.parse(BODY),
		);
	});

	it("but not after something parsed it; the error says so", async () => {
		await expect(
			webhooks.verify(JSON.parse(BODY), message, SECRET, now),
		).rejects.toMatchObject({ code: "body_invalid" });
	});
});
