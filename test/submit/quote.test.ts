/** What is expected of a job whose model describes the images first. */
import { expect, it } from "vitest";
import { MODELS } from "../../src/models.ts";
import { PRICE_TABLE } from "../../src/pricing/prices.ts";
import { JobRequest } from "../../src/schema/job.ts";
import { expectation } from "../../src/submit/quote.ts";
import { jobInputOf } from "../../src/submit/request.ts";
import { TASKS } from "../../src/tasks.ts";
import { usualTokens } from "../../src/usual-tokens.ts";

const IMAGES = [{ upload: "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T" }];
const mini = {
	...MODELS.mini,
	prices: { version: "test", rates: PRICE_TABLE.rates.mini },
	workers: [],
};

/** Without a worker, so that only this API's own rules count. */
const expected = async (body: object) => {
	const request = JobRequest.parse({ images: IMAGES, ...body });
	const input = jobInputOf(request, body, { header: () => undefined });
	return expectation(input, input.turns.messages, mini);
};
const quarter = (text: string) => Math.ceil(text.length / 4);

it("is a description too, which the last prompt has in it", async () => {
	const { usage, countedBy } = await expected({ task: "story" });
	const described = 128;
	const { template, imageTokens } = mini;
	expect(usage).toEqual({
		prompt_tokens:
			template.conversation +
			2 * template.message.user +
			template.message.assistant +
			imageTokens +
			template.image +
			quarter(TASKS.describe.prompt) +
			described +
			quarter(TASKS.story.prompt),
		output_tokens: described + usualTokens("mini", "story"),
		images: 1,
	});
	expect(countedBy).toBe("estimate");
});

it("is never longer than the job may write, description included", async () => {
	const { usage } = await expected({ task: "story", max_tokens: 40 });
	expect(usage.output_tokens).toBe(40);
});

it("is the answer alone where there is no task to do over a description", async () => {
	for (const [body, task] of [
		[{ task: "describe" }, "describe"],
		[{ prompt: "What is it?" }, null],
	] as const)
		expect((await expected(body)).usage.output_tokens).toBe(
			usualTokens("mini", task),
		);
});
