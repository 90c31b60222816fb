import { describe, expect, it } from "vitest";
import { type Failure, type FailureCode, wire } from "../src/errors.ts";
import { type AboutFailure, FAILURES, STATUSES } from "../src/failures.ts";
import { problemOf } from "../src/http/problem.ts";
import { errorOfFailure, retryHeaders } from "../src/openai/error.ts";

const CODES = Object.keys(FAILURES) as FailureCode[];
const exampleOf = (code: FailureCode): Failure =>
	({
		code,
		...(FAILURES[code] as AboutFailure<object>).example,
	}) as Failure;

describe("a failure", () => {
	it.each(CODES)("%s says the same in each shape, in sentences", (code) => {
		const failure = exampleOf(code);
		const { status, title, detail } = wire(failure);
		expect(detail).toMatch(/^[`A-Z].+\.$/);
		expect(detail).not.toContain("undefined");
		expect(problemOf(failure, "req_1")).toEqual({
			...failure,
			type: `urn:minigpt4:error:${code}`,
			title,
			status,
			detail,
			request_id: "req_1",
		});
		expect(errorOfFailure(failure)).toEqual({
			message: detail,
			type: STATUSES[status].openai,
			param: "field" in failure ? failure.field : null,
			code,
		});
	});

	it("tells OpenAI's clients where repeating the call cannot help", () => {
		const final = CODES.filter(
			(code) => "x-should-retry" in retryHeaders(code),
		);
		const conflicts = CODES.filter((code) => FAILURES[code].status === 409);
		expect(new Set(final)).toEqual(
			new Set([...conflicts, "backend_failed", "job_expired"]),
		);
	});

	it("names the wrong field where it has one", () => {
		const about = (field?: string) =>
			wire({ code: "bound_key", ...(field && { field }) }).detail;
		expect(about("webhook")).toContain("`webhook`");
		expect(about()).not.toContain("undefined");
	});
});
