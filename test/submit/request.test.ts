import { describe, expect, it } from "vitest";
import { ApiError } from "../../src/errors.ts";
import { MODELS } from "../../src/models.ts";
import { JobRequest } from "../../src/schema/job.ts";
import {
	deadlinesOf,
	deadlineTimes,
	idempotencyKeyOf,
	jobIdOf,
	jobInputOf,
	samplingFor,
} from "../../src/submit/request.ts";

const HOUR = 3_600_000;
const failure = async (attempt: () => unknown) => {
	try {
		await attempt();
	} catch (error) {
		if (error instanceof ApiError) return error.failure;
		throw error;
	}
	throw new Error("it was accepted");
};
const deadlines = (headers: Record<string, string> = {}) =>
	deadlineTimes(deadlinesOf({ header: (name) => headers[name] }), 0);

const IMAGES = [{ upload: "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T" }];

describe("a job samples", () => {
	const sampling = (body: object, model: keyof typeof MODELS) => {
		const request = JobRequest.parse({ images: IMAGES, ...body });
		const input = jobInputOf(request, body, { header: () => undefined });
		return samplingFor(input, MODELS[model]);
	};

	it("as its request says", () => {
		const asked = {
			max_tokens: 7,
			temperature: 0,
			top_p: 0.25,
			repetition_penalty: 1,
			seed: 0,
			stop: ["."],
		};
		for (const question of [{ prompt: "What is it?" }, { task: "website" }])
			expect(sampling({ ...question, ...asked }, "mini")).toEqual(asked);
	});

	it("as its model does, where the request does not say", () => {
		expect(sampling({ prompt: "What is it?" }, "mini")).toMatchObject({
			max_tokens: 300,
			temperature: MODELS.mini.sampling.temperature,
			top_p: MODELS.mini.sampling.topP,
			repetition_penalty: MODELS.mini.sampling.repetitionPenalty,
		});
		expect(sampling({ prompt: "What is it?" }, "vicuna-7b")).toMatchObject({
			temperature: 1,
			top_p: 0.9,
			repetition_penalty: 1.05,
		});
	});

	it("with room for what its task writes", () => {
		expect(sampling({ task: "website" }, "nano").max_tokens).toBe(1200);
		expect(sampling({ task: "describe" }, "nano").max_tokens).toBe(300);
	});
});

describe("a job's deadlines", () => {
	it("are an hour to start and six to end by default", () => {
		expect(deadlines()).toEqual({
			startBy: HOUR,
			endBy: 6 * HOUR,
			cancelAt: null,
		});
	});

	it.each([
		["5", 5],
		["90", 90],
		["90s", 90],
		["15m", 900],
		["2h", 7_200],
		["24h", 86_400],
	])("read %s as %i seconds", (text, seconds) => {
		expect(deadlines({ "Start-Within": text }).startBy).toBe(seconds * 1000);
		expect(deadlines({ "Cancel-After": text }).cancelAt).toBe(seconds * 1000);
	});

	it("never end a job before a time in the headers", () => {
		expect(deadlines({ "Start-Within": "24h" }).endBy).toBe(29 * HOUR);
		expect(deadlines({ "Cancel-After": "24h" }).endBy).toBeGreaterThan(
			24 * HOUR,
		);
		expect(deadlines({ "Cancel-After": "5s" }).endBy).toBe(6 * HOUR);
	});

	it.each([
		"",
		"4",
		"4s",
		"25h",
		"86401",
		"1d",
		"-5",
		"5.5",
		"5 s",
		"PT5S",
		"soon",
	])("refuse %j and name the header", async (text) => {
		for (const field of ["Start-Within", "Cancel-After"])
			expect(await failure(() => deadlines({ [field]: text }))).toMatchObject({
				code: "invalid_request",
				field,
			});
	});
});

describe("a job's name", () => {
	it("is a ULID in its canonical form", async () => {
		const ulid = "01JD8Z6Q3V9Y4K2M7N5P8R1S3T";
		expect(jobIdOf(ulid)).toBe(ulid);
		for (const id of [
			ulid.toLowerCase(),
			`${ulid}0`,
			ulid.slice(1),
			`8${ulid.slice(1)}`,
			`${ulid.slice(1)}U`,
			"7f0c1f0e-5b0a-4e0c-9a54-2f6f5b1e2c11",
		])
			expect(await failure(() => jobIdOf(id))).toMatchObject({
				code: "invalid_request",
				field: "id",
			});
	});

	it("or a key of up to 255 visible characters, which is hashed", async () => {
		expect(await idempotencyKeyOf(undefined)).toBe(null);
		expect(await idempotencyKeyOf("a")).toBe(
			"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
		);
		expect(await idempotencyKeyOf("~".repeat(255))).toHaveLength(64);
		for (const key of ["", "a b", "~".repeat(256), "ä", "a\tb"])
			expect(await failure(() => idempotencyKeyOf(key))).toMatchObject({
				code: "invalid_request",
				field: "Idempotency-Key",
			});
	});
});
