import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { childOf, traceOf } from "../src/trace.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const FORM = /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]$/;

describe("a caller's traceparent", () => {
	it.each([
		["as version 00 writes it", `00-${TRACE}-${SPAN}-01`, "01"],
		["that is not sampled", `00-${TRACE}-${SPAN}-00`, "00"],
		[
			"of a later version, which says more",
			`cc-${TRACE}-${SPAN}-01-what`,
			"01",
		],
		[
			"with flags that version 00 does not know",
			`00-${TRACE}-${SPAN}-ff`,
			"03",
		],
	])("%s is joined by a span of our own", (_, header, flags) => {
		const ours = traceOf(header);
		expect(ours).toMatch(FORM);
		expect(ours.split("-")[1]).toBe(TRACE);
		expect(ours.split("-")[2]).not.toBe(SPAN);
		expect(ours.split("-")[3]).toBe(flags);
	});

	it.each([
		["none", undefined],
		["of zeros as trace", `00-${"0".repeat(32)}-${SPAN}-01`],
		["of zeros as span", `00-${TRACE}-${"0".repeat(16)}-01`],
		["of version ff", `ff-${TRACE}-${SPAN}-01`],
		["of version 00 with more", `00-${TRACE}-${SPAN}-01-more`],
		["in upper case", `00-${TRACE.toUpperCase()}-${SPAN}-01`],
		["too short", `00-${TRACE}-01`],
		["with words in it", `00-${TRACE}-${SPAN}-01 and a secret`],
	])("%s begins a new trace", (_, header) => {
		const [first, second] = [traceOf(header), traceOf(header)];
		expect(first).toMatch(FORM);
		expect(first).not.toContain(TRACE);
		expect(first.split("-")[1]).not.toBe(second.split("-")[1]);
	});

	it("of any text becomes a valid one", () => {
		fc.assert(fc.property(fc.string(), (header) => FORM.test(traceOf(header))));
	});

	it("has a new span for each step of the work", () => {
		const request = traceOf(`00-${TRACE}-${SPAN}-01`);
		const spans = [request, childOf(request), childOf(request)].map(
			(each) => each.split("-")[2],
		);
		expect(new Set(spans).size).toBe(3);
	});
});
