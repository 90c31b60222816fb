/** Receipts of jobs, and the keys that verify them. */
import { createRoute } from "@hono/zod-openapi";
import { config } from "../env.ts";
import { ApiError } from "../errors.ts";
import { requires } from "../http/authenticate.ts";
import { newRouter } from "../http/router.ts";
import { publicKeys } from "../receipts/keys.ts";
import {
	claimsOf,
	isSettled,
	requestText,
	signReceipt,
} from "../receipts/receipt.ts";
import { Receipt, ReceiptKeys } from "../schema/receipt.ts";
import { problems } from "./failures.ts";
import { JOB_PARAMS, json, originOf } from "./kit.ts";
import { askJob } from "./read-job.ts";

export const receipts = newRouter();

receipts.openapi(
	createRoute({
		method: "get",
		path: "/v1/jobs/{id}/receipt",
		operationId: "getReceipt",
		summary: "The signed receipt of a job that has ended",
		description:
			"What was asked, which weights answered, the hashes of images and answer, the tokens and " +
			"the price, signed with Ed25519. Whoever has the public keys verifies it without this API. " +
			"A job that was deleted has no receipt any more: keep those that you need.",
		...requires("jobs:read"),
		request: { params: JOB_PARAMS },
		responses: {
			200: { description: "The receipt", content: json(Receipt) },
			...problems(
				401,
				404,
				409,
				410,
				429,
				"job_not_found",
				"job_not_finished",
				"job_gone",
			),
		},
	}),
	async (c) => {
		const { id } = c.req.valid("param");
		const { view, run } = await askJob(c, id, (job) => job.receipt());
		if (!isSettled(view)) throw new ApiError({ code: "job_not_finished" });
		const [secret] = config(c.env).KEY_SECRETS as [string, ...string[]];
		const claims = await claimsOf(view, run, originOf(c));
		return c.json(
			{
				object: "receipt" as const,
				job: id,
				receipt: await signReceipt(claims, secret),
				claims,
				request: requestText(run.request),
			},
			200,
		);
	},
);

receipts.openapi(
	createRoute({
		method: "get",
		path: "/.well-known/jwks.json",
		operationId: "listReceiptKeys",
		summary: "The public keys of receipts, as a JSON Web Key Set",
		description:
			"Needs no key. The first signs now; the others signed earlier receipts.",
		security: [],
		responses: {
			200: { description: "The keys", content: json(ReceiptKeys) },
		},
	}),
	async (c) => {
		c.header("Cache-Control", "public, max-age=3600");
		c.header("Access-Control-Allow-Origin", "*");
		return c.json({ keys: await publicKeys(config(c.env).KEY_SECRETS) }, 200);
	},
);
