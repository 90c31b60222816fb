import { describe, expect, it } from "vitest";
import vectors from "../fixtures/worker-protocol/generate.json";
import { FakeWorker, type Script } from "../support/fake-worker.ts";
import { FAULT_NAMES, FAULTS } from "../support/fake-worker-faults.ts";

const generate = (
	worker: FakeWorker,
	body: object | string,
	authorization: string | null = "Bearer worker-key",
	signal = new AbortController().signal,
) =>
	worker.fetch(
		new Request("http://worker.test/v1/generate", {
			method: "POST",
			body: typeof body === "string" ? body : JSON.stringify(body),
			headers: authorization ? { Authorization: authorization } : {},
			signal,
		}),
	);

const HI = {
	model: "nano",
	messages: [{ role: "user", content: "hi" }],
	max_tokens: 9,
};

interface Event {
	event: string;
	// biome-ignore lint/suspicious/noExplicitAny: the wire is what these tests look at
	data: any;
}

const eventsOf = (text: string): Event[] =>
	text
		.replaceAll(": ping\n", "")
		.split("\n\n")
		.filter((frame) => frame.startsWith("event: "))
		.map((frame) => {
			const [event = "", data = ""] = frame.slice(7).split("\ndata: ");
			return { event, data: JSON.parse(data) };
		});

const textOf = (events: Event[]): string =>
	events.map(({ data }) => data.text ?? "").join("");

/**
 * The result of a request: its status, its bytes, and how the stream ended; `hung` if it went on.
 */
async function outcome(script: Script): Promise<string> {
	const controller = new AbortController();
	const gone = controller.signal;
	const timer = setTimeout(() => controller.abort(), 200);
	const seen: number[] = [];
	try {
		const response = await generate(
			new FakeWorker(script),
			HI,
			undefined,
			gone,
		);
		seen.push(response.status);
		for await (const chunk of response.body ?? []) seen.push(...chunk);
		return `${seen} end`;
	} catch {
		return `${seen} ${gone.aborted ? "hung" : "broke"}`;
	} finally {
		clearTimeout(timer);
	}
}

interface Vector {
	name: string;
	authorization?: string | null;
	raw?: string;
	body?: object;
	status: number;
	code: string;
	field?: string;
}

describe("the fake worker keeps to the shared vectors", () => {
	it.each(vectors.errors as Vector[])("$name", async (vector) => {
		const response = await generate(
			new FakeWorker({ tokens: ["x"] }),
			vector.raw ?? (vector.body as object),
			vector.authorization,
		);
		const { code, field } = await response.json<Vector>();
		expect([response.status, code]).toEqual([vector.status, vector.code]);
		expect(field).toBe(vector.field);
	});

	it("streams the events of the vector, field by field", async () => {
		const worker = new FakeWorker({ tokens: ["The", " caf", "é 😀"] });
		const shape = (text: string) =>
			eventsOf(text).map(({ event, data }) => [event, Object.keys(data)]);
		const response = await generate(worker, HI);
		expect(shape(await response.text())).toEqual(
			shape(vectors.stream.join("")),
		);
	});

	it("streams nano's recorded answer byte for byte, except for the token ids", async () => {
		const recorded = eventsOf(vectors.recorded.stream.join(""));
		const tokens = recorded
			.filter(({ event }) => event === "token")
			.map(({ data }) => data.text);
		const worker = new FakeWorker({ tokens: [...tokens, "more"] });
		const response = await generate(worker, vectors.recorded.request);
		const anonymous = (text: string) =>
			text.replaceAll(/_ids":\[[\d,]*\]|"prompt_tokens":\d+/g, "");
		expect(anonymous(await response.text())).toBe(
			anonymous(vectors.recorded.stream.join("")),
		);
	});

	it("continues from committed ids as if the stream had not been interrupted", async () => {
		const worker = new FakeWorker({ tokens: ["a", "", "é", "😀"] });
		const ask = async (body: object) =>
			eventsOf(await (await generate(worker, body)).text());
		const whole = await ask(HI);
		const [prompt, ...rest] = whole;
		expect(textOf(whole)).toBe("aé😀");
		const prompt_token_ids = prompt?.data.prompt_token_ids;
		for (let cut = 0; cut <= 4; cut++) {
			const committed_token_ids = [2000, 2001, 2002, 2003].slice(0, cut);
			const { model, max_tokens } = HI;
			const later = await ask({
				model,
				max_tokens,
				prompt_token_ids,
				committed_token_ids,
			});
			expect(later.slice(0, -1)).toEqual([prompt, ...rest.slice(cut, -1)]);
			expect(later.at(-1)?.data).toMatchObject({ output_tokens: 4 - cut });
		}
	});

	it("refuses requests while it starts or drains, and unknown routes", async () => {
		const worker = new FakeWorker({ tokens: ["x"] });
		for (const state of ["starting", "draining"] as const) {
			worker.state = state;
			const refused = await generate(worker, HI);
			expect([refused.status, (await refused.json<Vector>()).code]).toEqual([
				503,
				state,
			]);
		}
		const headers = { Authorization: "Bearer worker-key" };
		const lost = await worker.fetch(
			new Request("http://worker.test/v1/models", { headers }),
		);
		expect([lost.status, (await lost.json<Vector>()).code]).toEqual([
			404,
			"not_found",
		]);
	});
});

describe("a fault of the fake worker", () => {
	const tokens = ["The", " cat", " is", " über", " all", "."];

	it.each(FAULT_NAMES.filter((name) => name !== "is slow"))(
		"`%s` shows, and is the same every time",
		async (name) => {
			const fault = FAULTS[name];
			// A fault that sends surplus tokens needs some to send.
			const script =
				"excess" in fault ? { tokens: Array(12).fill("x") } : { tokens };
			const plain = await outcome(script);
			const first = await outcome({ ...script, faults: { 1: fault } });
			expect(first).not.toBe(plain);
			expect(await outcome({ ...script, faults: { 1: fault } })).toBe(first);
			expect(await outcome({ ...script, faults: { 2: fault } })).toBe(plain);
		},
	);

	it("that slows the stream changes no byte", async () => {
		const plain = await outcome({ tokens: ["x"] });
		const from = Date.now();
		const slow = await outcome({ tokens: ["x"], faults: { 1: { slow: 80 } } });
		expect(Date.now() - from).toBeGreaterThanOrEqual(75);
		expect(slow).toBe(plain);
	});

	it("that cuts a character ends the stream between its bytes", async () => {
		const [status, ...bytes] = (
			await outcome({
				tokens,
				faults: { 1: FAULTS["dies inside a character"] },
			})
		).split(",");
		const end = bytes.map((byte) => Number.parseInt(byte, 10));
		expect([status, bytes.at(-1)]).toEqual(["200", `${0xc3} broke`]);
		expect(new TextDecoder().decode(Uint8Array.from(end))).toMatch(/" \ufffd$/);
	});

	it("that cuts after n bytes sends exactly n", async () => {
		const [, ...bytes] = (
			await outcome({ tokens, faults: { 1: { cut: 77, how: "end" } } })
		).split(",");
		expect(bytes).toHaveLength(77);
	});
});
