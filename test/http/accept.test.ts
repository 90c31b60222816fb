import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { preferredType, wantsEvents } from "../../src/http/accept.ts";
import { newAccount } from "../support/account.ts";
import { JOB_REQUEST } from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { fakeWorker } from "../support/jobs.ts";

const JSON_TYPE = "application/json";
const EVENTS = "text/event-stream";

describe("of JSON and server-sent events, an Accept header prefers", () => {
	it.each([
		// The header is missing, or weighs both alike.
		[undefined, JSON_TYPE],
		["", JSON_TYPE],
		["*/*", JSON_TYPE],
		["*/*;q=0.1", JSON_TYPE],
		// It names one.
		["text/event-stream", EVENTS],
		["TEXT/Event-Stream", EVENTS],
		["text/event-stream; charset=utf-8", EVENTS],
		["text/*", EVENTS],
		["application/json", JSON_TYPE],
		["application/*", JSON_TYPE],
		["application/json, text/plain, */*", JSON_TYPE],
		// Among equals, the one with the more specific range.
		["text/event-stream, */*", EVENTS],
		["*/*, text/event-stream", EVENTS],
		["application/*, text/event-stream", EVENTS],
		["text/*, application/json", JSON_TYPE],
		// Among equally specific ones, the first in the header.
		["application/json, text/event-stream", JSON_TYPE],
		["text/event-stream, application/json", EVENTS],
		["text/event-stream;q=0.5, application/json;q=0.5", EVENTS],
		["text/*, application/*", EVENTS],
		// The one with the higher weight, in any position.
		["application/json, text/event-stream;q=0.1", JSON_TYPE],
		["text/event-stream;q=0.1, application/json", JSON_TYPE],
		["text/event-stream;q=0.1, application/json;q=0.09", EVENTS],
		["application/json;q=0.999, text/event-stream;q=1.000", EVENTS],
		["text/event-stream;q=0.9, */*;q=0.8", EVENTS],
		["text/event-stream;q=0.5, */*", JSON_TYPE],
		["application/json ; Q=0.2 , text/event-stream ; q=.3", EVENTS],
		// 0 is "not acceptable", and the most specific range counts.
		["text/event-stream;q=0", JSON_TYPE],
		["text/event-stream;q=0.000, */*", JSON_TYPE],
		["*/*, text/event-stream;q=0", JSON_TYPE],
		["text/*, text/event-stream;q=0", JSON_TYPE],
		["application/json;q=0, */*", EVENTS],
		["application/json;q=0, text/event-stream;q=0.1", EVENTS],
		["text/*;q=0, text/event-stream", EVENTS],
		["*/*;q=0, text/event-stream;q=0.1", EVENTS],
		["text/event-stream;q=0, text/event-stream;charset=utf-8", EVENTS],
		// The header accepts neither: the default is better than a 406.
		["application/xml", JSON_TYPE],
		["*/*;q=0", JSON_TYPE],
		["text/event-stream;q=0, application/json;q=0", JSON_TYPE],
		// Invalid ranges and weights are ignored.
		["nonsense, text/event-stream", EVENTS],
		[", ,", JSON_TYPE],
		["text/event-stream;q=high", EVENTS],
		["application/json;q=0.5, text/event-stream;q=7", EVENTS],
		// A comma in quotation marks does not separate ranges.
		['text/html;note="a, text/event-stream"', JSON_TYPE],
		['application/json;note="a;q=0", text/event-stream;q=0.5', JSON_TYPE],
		["text/event-streams, x-text/event-stream", JSON_TYPE],
	])("%s: %s", (accept, type) => {
		expect(preferredType(accept, [JSON_TYPE, EVENTS])).toBe(type);
	});

	it("one of them for any header", () => {
		fc.assert(
			fc.property(fc.string({ unit: "binary-ascii" }), (accept) => {
				expect([JSON_TYPE, EVENTS]).toContain(
					preferredType(accept, [JSON_TYPE, EVENTS]),
				);
			}),
		);
	});

	it("the one with the higher weight, in either order", () => {
		const weight = fc.integer({ min: 0, max: 1000 });
		fc.assert(
			fc.property(weight, weight, fc.boolean(), (json, events, swap) => {
				fc.pre(json !== events);
				const ranges = [
					`${JSON_TYPE};q=${json / 1000}`,
					`${EVENTS};q=${events / 1000}`,
				];
				const accept = (swap ? ranges.reverse() : ranges).join(", ");
				expect(wantsEvents(accept)).toBe(events > json);
			}),
		);
	});
});

describe("what a caller prefers", () => {
	const typeOf = async (path: string, accept: string, body?: object) => {
		const { key } = await newAccount(10_000);
		const answer = await edge.fetch(`http://edge.test/v1${path}`, {
			method: body ? "POST" : "GET",
			headers: {
				Authorization: `Bearer ${key}`,
				Accept: accept,
				...(body && { "Content-Type": "application/json" }),
			},
			...(body && { body: JSON.stringify(body) }),
		});
		const type = answer.headers.get("Content-Type")?.split(";")[0];
		await answer.body?.cancel();
		return type;
	};

	it("is what a job's creation answers", async () => {
		fakeWorker({ tokens: ["a"] });
		const refused = "text/event-stream;q=0";
		expect(await typeOf("/jobs", refused, JOB_REQUEST)).toBe(JSON_TYPE);
		const less = "application/json, text/event-stream;q=0.1";
		expect(await typeOf("/jobs", less, JOB_REQUEST)).toBe(JSON_TYPE);
		expect(await typeOf("/jobs", `${EVENTS}, */*`, JOB_REQUEST)).toBe(EVENTS);
	});

	it("is how the feed comes", async () => {
		expect(await typeOf("/events", "text/event-stream;q=0")).toBe(JSON_TYPE);
		expect(await typeOf("/events", "application/json;q=0.5, text/*")).toBe(
			EVENTS,
		);
	});
});
