/** The bytes of event streams, as common parsers read them. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SseParser } from "../../src/backends/sse-parser.ts";
import type { LogEvent } from "../../src/contract/job.ts";
import { Completion, CompletionChunks } from "../../src/openai/completion.ts";
import { followLog } from "../../src/stream/follower.ts";
import {
	type EventStreamOptions,
	eventStream,
	frame,
} from "../../src/stream/sse-writer.ts";

const sleep = (ms: number) => new Promise((wait) => setTimeout(wait, ms));
const PAUSE = "pause";

/** A token's text; or a pause of several pings. */
type Step = string | typeof PAUSE;

/** A socket on which a job sends these tokens, and its end. */
async function job(steps: readonly Step[]): Promise<Response> {
	const { 0: client, 1: server } = new WebSocketPair();
	server.accept();
	let seq = 0;
	const event = (type: string, data: object): LogEvent => ({
		seq: ++seq,
		type,
		data: JSON.stringify(data),
	});
	const send = (...events: LogEvent[]) => server.send(JSON.stringify(events));
	const play = async () => {
		for (const each of steps)
			if (each === PAUSE) await sleep(8);
			else send(event("token", { text: each }));
		send(
			event("usage", { images: 0, prompt_tokens: 1, output_tokens: 1 }),
			event("job.succeeded", { finish_reason: "stop" }),
			event("done", {}),
		);
	};
	server.addEventListener("message", () => void play(), { once: true });
	return new Response(null, { status: 101, webSocket: client });
}

const never = new AbortController().signal;
const stream = async (
	steps: readonly Step[],
	options: Partial<EventStreamOptions> = {},
) => {
	const socket = await job(steps);
	const open = () => Promise.reject(new Error("the socket does not break"));
	const follow = followLog(open, socket, 0);
	return eventStream({ follow, signal: never, pingMs: 2, ...options });
};

/** Checks that each block has data. @returns the events that a client's parser finds */
function check(bytes: string): { event: string; data: string }[] {
	const blocks = bytes.split("\n\n");
	expect(blocks.pop()).toMatch(/^(: ping\n)*$/);
	for (const block of blocks) {
		const lines = block.split("\n");
		const data = lines.findIndex((line) => line.startsWith("data: "));
		expect(data, block).toBe(lines.length - 1);
		for (const line of lines)
			expect(line).toMatch(/^(: ping|(retry|id|event|data): .*)$/);
	}
	return new SseParser().push(new TextEncoder().encode(bytes));
}

const steps = fc.array(fc.oneof(fc.string(), fc.constant(PAUSE)), {
	maxLength: 8,
});
const runs = { numRuns: 60 };

describe("every block of an event stream has data, whatever its events and pauses", () => {
	it("of a job: `retry` comes with the first event", () =>
		fc.assert(
			fc.asyncProperty(steps, async (steps) => {
				const bytes = await new Response(await stream(steps)).text();
				const tokens = check(bytes).filter(({ event }) => event === "token");
				expect(tokens.map(({ data }) => JSON.parse(data).text)).toEqual(
					steps.filter((each) => each !== PAUSE),
				);
				expect(bytes.match(/retry: /g)).toHaveLength(1);
				expect(bytes).toMatch(/^(: ping\n)+retry: 1000\nid: 1\n/);
			}),
			runs,
		));

	it("of a feed with a filter by type", () =>
		fc.assert(
			fc.asyncProperty(steps, async (steps) => {
				const some = (event: LogEvent) =>
					event.type === "token" ? "" : frame(event);
				const bytes = await new Response(
					await stream(steps, { frame: some }),
				).text();
				expect(check(bytes).map(({ event }) => event)).toEqual([
					"usage",
					"job.succeeded",
					"done",
				]);
				expect(bytes).toMatch(/^(: ping\n)*retry: 1000\nid: /);
			}),
			runs,
		));

	it("of a completion", () =>
		fc.assert(
			fc.asyncProperty(steps, fc.boolean(), async (steps, usage) => {
				const head = { id: "chatcmpl-1", created: 1, model: "nano" };
				const chunks = new CompletionChunks(head, new Completion([]), usage);
				const body = await stream(steps, {
					frame: (event) => chunks.of(event),
					opening: chunks.opening,
					prefix: "",
				});
				const events = check(await new Response(body).text());
				expect(events.pop()?.data).toBe("[DONE]");
				const text = events
					.map(({ data }) => JSON.parse(data).choices[0]?.delta.content ?? "")
					.join("");
				expect(text).toBe(steps.filter((each) => each !== PAUSE).join(""));
			}),
			runs,
		));
});
