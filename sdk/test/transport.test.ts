import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, expectTypeOf, it } from "vitest";
import {
	APIError,
	ConnectionError,
	type ErrorCode,
	MiniGPT4,
	PaymentError,
	RateLimitError,
	RequestError,
	ServerError,
	TimeoutError,
} from "../src/index.ts";
import { clientOf, json, problem, serve } from "./server.ts";

const ACCOUNT = { id: "acc", balance: { available: 1, held: 0 } };

describe("a call that failed", () => {
	it("is retried while the API is overloaded or failing", async () => {
		for (const status of [408, 429, 500, 502, 503, 504]) {
			const server = await serve((_, response, n) =>
				n < 2
					? problem(response, status, "internal_error")
					: json(response, 200, ACCOUNT),
			);
			expect(await clientOf(server).account.get()).toEqual(ACCOUNT);
			expect(server.asked).toHaveLength(3);
		}
	});

	it("is not retried if the answer would be the same", async () => {
		for (const status of [400, 401, 402, 403, 404, 409, 410, 413, 415, 422]) {
			const server = await serve((_, response) =>
				problem(response, status, "insufficient_credit"),
			);
			await expect(clientOf(server).account.get()).rejects.toThrow(APIError);
			expect(server.asked).toHaveLength(1);
		}
	});

	it("waits at least as long as Retry-After says", async () => {
		const server = await serve((_, response, n) =>
			n === 0
				? problem(response, 429, "rate_limited", { "Retry-After": "1" })
				: json(response, 200, ACCOUNT),
		);
		await clientOf(server).account.get();
		const [first, second] = server.asked.map(({ at }) => at);
		expect(Number(second) - Number(first)).toBeGreaterThanOrEqual(1000);
	});

	it("fails at once if Retry-After exceeds `retryFor`", async () => {
		const server = await serve((_, response) =>
			problem(response, 429, "rate_limited", { "Retry-After": "3600" }),
		);
		const failed = clientOf(server).account.get();
		await expect(failed).rejects.toMatchObject({ retryAfter: 3600 });
		await expect(failed).rejects.toBeInstanceOf(RateLimitError);
		expect(server.asked).toHaveLength(1);
	});

	it("is retried while no server listens, and succeeds once one does", async () => {
		const first = await serve((_, response) => json(response, 200, ACCOUNT));
		await first.stop();
		const calling = clientOf(first).account.get();
		await sleep(1_500);
		await serve((_, response) => json(response, 200, ACCOUNT), first.port);
		expect(await calling).toEqual(ACCOUNT);
	});

	it("fails when `retryFor` has passed", async () => {
		const server = await serve(() => {});
		await server.stop();
		const failed = clientOf(server).account.get({ retryFor: 300 });
		await expect(failed).rejects.toBeInstanceOf(ConnectionError);
		await expect(failed).rejects.toMatchObject({ code: "connection_failed" });
	});

	it("is retried if its answer breaks off", async () => {
		const server = await serve((_, response, n) => {
			if (n > 0) return json(response, 200, ACCOUNT);
			response.writeHead(200, { "Content-Length": "1000" });
			response.write('{"id":', () => response.destroy());
		});
		expect(await clientOf(server).account.get()).toEqual(ACCOUNT);
	});

	it("is not sent twice if it is not idempotent", async () => {
		const server = await serve((_, response) => response.destroy());
		const client = clientOf(server);
		await expect(client.keys.create({ name: "one" })).rejects.toBeInstanceOf(
			ConnectionError,
		);
		expect(server.asked).toHaveLength(1);
		const busy = await serve((_, response, n) =>
			n === 0
				? problem(response, 429, "rate_limited")
				: json(response, 201, { id: "key_1" }),
		);
		await clientOf(busy).keys.create({ name: "one" });
		expect(busy.asked).toHaveLength(2);
		await expect(client.keys.rotate("key_1")).rejects.toBeInstanceOf(
			ConnectionError,
		);
		expect(server.asked).toHaveLength(2);
	});

	it("is sent again under the name that makes it happen once", async () => {
		const server = await serve((_, response, n) =>
			n === 0
				? response.destroy()
				: json(response, 200, { id: "key_1", key: null }),
		);
		const options = { grace: 60, idempotencyKey: "once" };
		await clientOf(server).keys.rotate("key_1", options);
		expect(server.asked).toHaveLength(2);
		for (const { path, headers, body } of server.asked)
			expect([path, headers["idempotency-key"], String(body)]).toEqual([
				"/v1/keys/key_1/rotate",
				"once",
				'{"grace":60}',
			]);
	});
});

describe("a job that is created", () => {
	it("keeps its id and body in all tries", async () => {
		const server = await serve((_, response, n) => {
			if (n === 0) return response.destroy();
			if (n === 1) return problem(response, 503, "storage_unavailable");
			return json(response, 202, { id: "job" });
		});
		await clientOf(server).jobs.create({
			images: [{ url: "https://example.com/a.jpg" }],
			prompt: "What is this?",
		});
		expect(server.asked).toHaveLength(3);
		expect(server.asked.map(({ method }) => method)).toEqual(
			Array(3).fill("PUT"),
		);
		expect(new Set(server.asked.map(({ path }) => path)).size).toBe(1);
		expect(new Set(server.asked.map(({ body }) => String(body))).size).toBe(1);
		expect(server.asked[0]?.path).toMatch(/^\/v1\/jobs\/[0-9A-Z]{26}$/);
	});

	it("sends its time limits", async () => {
		const server = await serve((_, response) => json(response, 202, {}));
		const id = "01JD8Z6Q3V9Y4K2M7N5P8R1S3T";
		await clientOf(server).jobs.create(
			{ prompt: "Hi" },
			{ id, startWithin: 90, cancelAfter: 900 },
		);
		expect(server.asked[0]).toMatchObject({
			path: `/v1/jobs/${id}`,
			headers: { "start-within": "90", "cancel-after": "900" },
		});
	});
});

describe("a time limit", () => {
	it("ends one try, and the next try may succeed", async () => {
		const server = await serve((_, response, n) =>
			n === 0 ? undefined : json(response, 200, ACCOUNT),
		);
		expect(await clientOf(server).account.get({ timeout: 1_500 })).toEqual(
			ACCOUNT,
		);
		await expect.poll(server.hungUp).toBe(1);
	});

	it("covers the answer's body", async () => {
		const server = await serve((_, response) => {
			response.writeHead(200).write("{");
		});
		const failed = clientOf(server).account.get({ timeout: 200, retryFor: 0 });
		await expect(failed).rejects.toBeInstanceOf(TimeoutError);
	});

	it("ends the whole call, whatever its tries do", async () => {
		const server = await serve((_, response) =>
			problem(response, 503, "storage_unavailable"),
		);
		const client = clientOf(server, { totalTimeout: 700 });
		const failed = client.account.get();
		await expect(failed).rejects.toBeInstanceOf(TimeoutError);
		await expect(failed).rejects.toMatchObject({ code: "timeout" });
	});
});

describe("an abort", () => {
	it("ends the call with the signal's reason, and the connection", async () => {
		const server = await serve(() => {});
		const controller = new AbortController();
		const { signal } = controller;
		const calling = clientOf(server).account.get({ signal });
		await expect.poll(() => server.asked.length).toBe(1);
		controller.abort(new Error("changed my mind"));
		await expect(calling).rejects.toThrow("changed my mind");
		await expect.poll(server.hungUp).toBe(1);
	});

	it("ends the wait before the next try", async () => {
		const server = await serve((_, response) =>
			problem(response, 503, "storage_unavailable", { "Retry-After": "20" }),
		);
		const controller = new AbortController();
		const { signal } = controller;
		const calling = clientOf(server).account.get({ signal });
		await expect.poll(() => server.asked.length).toBe(1);
		controller.abort();
		await expect(calling).rejects.toMatchObject({ name: "AbortError" });
		expect(server.asked).toHaveLength(1);
	});

	it("before the call sends nothing", async () => {
		const server = await serve((_, response) => json(response, 200, ACCOUNT));
		const signal = AbortSignal.abort(new Error("before"));
		const client = clientOf(server);
		await expect(client.account.get({ signal })).rejects.toThrow("before");
		expect(server.asked).toHaveLength(0);
	});
});

describe("an error", () => {
	const failing = async (
		status: number,
		body: object | string,
		headers: Record<string, string> = {},
	) => {
		const server = await serve((_, response) =>
			typeof body === "string"
				? response.writeHead(status, headers).end(body)
				: json(response, status, body, headers),
		);
		return clientOf(server)
			.account.get({ retryFor: 0 })
			.catch((error: unknown) => error);
	};

	it("has the class and the code of the API's answer", async () => {
		const error = await failing(402, {
			code: "insufficient_credit",
			status: 402,
			detail: "Add credit.",
			request_id: "req_7",
		});
		expect(error).toBeInstanceOf(PaymentError);
		expect(error).toMatchObject({
			name: "PaymentError",
			message: "Add credit.",
			code: "insufficient_credit",
			status: 402,
			requestId: "req_7",
		});
	});

	it("names the member that is wrong", async () => {
		const error = await failing(400, {
			code: "invalid_request",
			status: 400,
			detail: "`prompt` is empty",
			request_id: "req_8",
			field: "prompt",
		});
		expect(error).toBeInstanceOf(RequestError);
		expect(error).toMatchObject({ field: "prompt" });
	});

	it("from a proxy has no code of the API's", async () => {
		const error = await failing(502, "<html>Bad gateway</html>");
		expect(error).toBeInstanceOf(ServerError);
		expect(error).toMatchObject({ code: "unknown", status: 502 });
		expect(error).toMatchObject({ requestId: null });
	});

	it("tells a server that does not answer from one that is not the API", async () => {
		const away = await serve(() => {});
		await away.stop();
		await expect(clientOf(away).account.get({ retryFor: 0 })).rejects.toThrow(
			away.url,
		);
		const other = await serve((_, response) =>
			response.writeHead(200).end("<html>Sign in</html>"),
		);
		const client = clientOf(other);
		for (const call of [
			client.account.get(),
			client.jobs.run({ prompt: "Hi" }),
		])
			await expect(call).rejects.toMatchObject({
				code: "foreign_answer",
				message: expect.stringContaining(other.url),
			});
		expect(other.asked).toHaveLength(2);
	});

	it("has a code that the compiler checks", () => {
		expectTypeOf<APIError["code"]>().toEqualTypeOf<ErrorCode | "unknown">();
		expectTypeOf<"insufficient_credit">().toExtend<ErrorCode>();
		// @ts-expect-error there is no such code
		const code: ErrorCode = "no_such_code";
		expect(code).toBeTypeOf("string");
	});
});

describe("a key", () => {
	it("is required before anything is sent, but not for the models", async () => {
		const server = await serve((_, response) =>
			json(response, 200, { data: [] }),
		);
		const client = new MiniGPT4({ baseURL: server.url, apiKey: "" });
		await expect(client.account.get()).rejects.toMatchObject({
			code: "missing_key",
		});
		expect(server.asked).toHaveLength(0);
		expect(await client.models.list().page()).toEqual({ data: [] });
		expect(server.asked[0]?.headers.authorization).toBeUndefined();
	});

	it("appears neither in a printed client nor in an error", async () => {
		const { inspect } = await import("node:util");
		const server = await serve((_, response) => response.destroy());
		const client = clientOf(server, { apiKey: "mg_live_secret", retryFor: 0 });
		const error = await client.account.get().catch((error: unknown) => error);
		const shown = inspect([client, error], { depth: 9, showHidden: true });
		expect(shown).toContain("connection_failed");
		expect(shown).not.toContain("mg_live_secret");
		expect(JSON.stringify(client)).not.toContain("mg_live_secret");
	});
});

describe("a list", () => {
	it("fetches page after page", async () => {
		const server = await serve(({ path }, response) => {
			const cursor = new URL(path, "http://x").searchParams.get("cursor");
			const at = Number(cursor ?? 0);
			json(response, 200, {
				data: [{ id: at }, { id: at + 1 }],
				next_cursor: at < 4 ? String(at + 2) : null,
			});
		});
		const seen = [];
		for await (const job of clientOf(server).jobs.list({ limit: 2 }))
			seen.push(job.id);
		expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
		expect(server.asked.every(({ path }) => path.includes("limit=2"))).toBe(
			true,
		);
	});

	it("fetches no page before it is read", async () => {
		const server = await serve((_, response) =>
			json(response, 200, { data: [{ id: 1 }, { id: 2 }], next_cursor: "2" }),
		);
		for await (const job of clientOf(server).jobs.list()) if (job) break;
		expect(server.asked).toHaveLength(1);
	});
});
