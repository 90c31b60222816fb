import { describe, expect, it } from "vitest";
import { MODELS } from "../../src/models.ts";
import { JobRequest } from "../../src/schema/job.ts";
import { questionsOf, turnsOf } from "../../src/submit/conversation.ts";
import { TASKS, type Task } from "../../src/tasks.ts";

const turns = (task: Task) =>
	turnsOf(
		JobRequest.parse({
			task,
			images: [
				{ url: "https://a.example/1.jpg" },
				{ url: "https://a.example/2.jpg" },
			],
		}),
	).messages;
const about = (text: string) => [
	{
		role: "user",
		content: [{ type: "image" }, { type: "image" }, { type: "text", text }],
	},
];

describe("a task", () => {
	it("of a model that describes first is asked over a description of all its images", () => {
		for (const task of Object.keys(TASKS) as Task[]) {
			if (task === "describe") continue;
			expect(questionsOf(turns(task), task, MODELS.mini)).toEqual({
				messages: about(TASKS.describe.prompt),
				followUp: TASKS[task].prompt,
			});
		}
	});

	it("is asked about the images where the model does not, or where it is the description", () => {
		expect(questionsOf(turns("poem"), "poem", MODELS.nano)).toEqual({
			messages: about(TASKS.poem.prompt),
			followUp: null,
		});
		expect(questionsOf(turns("describe"), "describe", MODELS.mini)).toEqual({
			messages: about(TASKS.describe.prompt),
			followUp: null,
		});
	});

	it("is what makes the difference: a prompt of the same words is asked as it is", () => {
		expect(questionsOf(turns("poem"), null, MODELS.mini)).toEqual({
			messages: about(TASKS.poem.prompt),
			followUp: null,
		});
	});
});
