/** The audit log, as operators read it. */
import { z } from "@hono/zod-openapi";

export const ActList = z
	.object({
		data: z.array(
			z.object({
				seq: z.int().openapi({ description: "Rises with each act" }),
				at: z.iso.datetime(),
				method: z.string(),
				path: z.string(),
				body: z.unknown().openapi({ description: "What was asked for" }),
				status: z.int().nullable().openapi({
					description:
						"Of the response; null if none was sent, so that it is open whether it was done",
				}),
				ip: z.string().nullable().openapi({
					description: "The caller's address, where the platform tells it",
				}),
				request_id: z.string(),
			}),
		),
		next_cursor: z.string().nullable(),
	})
	.openapi("ActList", {
		example: {
			data: [
				{
					seq: 17,
					at: "2026-11-30T09:30:00.000Z",
					method: "POST",
					path: "/admin/accounts/0123456789abcdef/credits",
					body: { id: "invoice-2026-117", amount: 10_000_000 },
					status: 200,
					ip: "203.0.113.7",
					request_id: "req_01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
				},
			],
			next_cursor: null,
		},
	});
