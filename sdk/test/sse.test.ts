import fc from "fast-check";
import { expect, test } from "vitest";
import { type ServerSentEvent, serverSentEvents } from "../src/sse.ts";

/** A body of these bytes, cut where told. */
function body(bytes: Uint8Array, cuts: number[]): ReadableStream<Uint8Array> {
	const at = [...new Set([0, ...cuts.map((cut) => cut % bytes.length)])].sort(
		(a, b) => a - b,
	);
	return new ReadableStream({
		start(controller) {
			for (const [n, from] of at.entries())
				controller.enqueue(bytes.subarray(from, at[n + 1] ?? bytes.length));
			controller.close();
		},
	});
}

async function all(
	stream: ReadableStream<Uint8Array>,
): Promise<ServerSentEvent[]> {
	const seen: ServerSentEvent[] = [];
	for await (const event of serverSentEvents(stream, 1_000)) seen.push(event);
	return seen;
}

test("events are the same however their bytes are cut, with any line ending", async () => {
	const line = fc
		.string({ unit: "grapheme" })
		.map((s) => s.replace(/[\r\n]/g, ""));
	const event = fc.record({
		id: fc.nat().map(String),
		type: fc.constantFrom("token", "job.queued"),
		data: fc.array(line, { minLength: 1, maxLength: 3 }),
	});
	await fc.assert(
		fc.asyncProperty(
			fc.array(event, { minLength: 1, maxLength: 5 }),
			fc.constantFrom("\n", "\r\n"),
			fc.array(fc.nat(), { maxLength: 30 }),
			async (sent, eol, cuts) => {
				const text = sent
					.map(({ id, type, data }) =>
						[
							": a comment",
							`id: ${id}`,
							`event: ${type}`,
							...data.map((line) => `data: ${line}`),
							"",
							"",
						].join(eol),
					)
					.join("");
				const seen = await all(body(new TextEncoder().encode(text), cuts));
				expect(seen).toEqual(
					sent.map(({ data, ...rest }) => ({ ...rest, data: data.join("\n") })),
				);
			},
		),
	);
});

test("an event that broke off is not yielded", async () => {
	const bytes = new TextEncoder().encode("data: whole\n\ndata: half\n");
	expect(await all(body(bytes, []))).toEqual([
		{ id: "", type: "message", data: "whole" },
	]);
});

test("a silent body ends, and leaving the loop closes the connection", async () => {
	let canceled = 0;
	const silent = () =>
		new ReadableStream<Uint8Array>({
			start: (controller) =>
				controller.enqueue(new TextEncoder().encode("data: 1\n\n")),
			cancel: () => void canceled++,
		});
	for await (const _ of serverSentEvents(silent(), 50));
	expect(canceled).toBe(1);
	for await (const _ of serverSentEvents(silent(), 60_000)) break;
	expect(canceled).toBe(2);
});
