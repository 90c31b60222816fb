/** What an account used. */
import { z } from "@hono/zod-openapi";
import { USAGE_GROUPS } from "../contract/usage.ts";

const Day = z.iso.date();

export const UsageParameters = z.strictObject({
	from: Day.optional().openapi({
		description: "The first day, UTC; 29 days before `to` without it",
		example: "2026-11-01",
	}),
	to: Day.optional().openapi({
		description: "The last day; today without it",
		example: "2026-11-30",
	}),
	by: z
		.string()
		.default("day,model")
		.transform((text, context) => {
			const names = text.split(",").map((name) => name.trim());
			const groups = USAGE_GROUPS.filter((group) => names.includes(group));
			if (text === "" || groups.length === new Set(names).size)
				return text === "" ? [] : groups;
			context.addIssue({
				code: "custom",
				message: `may name ${USAGE_GROUPS.join(", ")}, with commas between them`,
			});
			return z.NEVER;
		})
		.openapi({
			type: "string",
			description:
				"What to sum by: any of `day`, `key`, `model`, `task`; one sum if it is empty",
			example: "day,model",
		}),
});

export const Usage = z
	.object({
		day: Day.nullable(),
		key: z.string().nullable().openapi({
			description:
				"The key's id; empty for jobs that were admitted before it was noted",
		}),
		model: z.string().nullable(),
		task: z.string().nullable().openapi({
			description: "Empty for a question of the caller's own",
		}),
		jobs: z.int(),
		prompt_tokens: z.int(),
		output_tokens: z.int(),
		images: z.int(),
		price: z.int().openapi({ description: "Micro-USD" }),
	})
	.openapi("Usage");

export const UsageList = z
	.object({ data: z.array(Usage), next_cursor: z.null() })
	.openapi("UsageList", {
		example: {
			data: [
				{
					day: "2026-11-30",
					key: null,
					model: "nano",
					task: null,
					jobs: 12,
					prompt_tokens: 1_128,
					output_tokens: 132,
					images: 12,
					price: 1_284,
				},
			],
			next_cursor: null,
		},
	});
