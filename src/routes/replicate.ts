/**
 * Replicate reports on predictions here. A report wakes a job whose process died and that no alarm
 * woke, and ends a prediction that outlived its job. The route does not read the prediction's
 * output: the job reads that itself.
 */

import { isAccountId } from "../api-key.ts";
import { ReplicateBackend } from "../backends/replicate.ts";
import { readWebhook } from "../backends/replicate-webhook.ts";
import { config } from "../env.ts";
import { ApiError } from "../errors.ts";
import { newRouter } from "../http/router.ts";
import { JOB_ID } from "../ids.ts";
import { jobOf } from "../objects.ts";
import { readAtMost } from "../read-at-most.ts";

/** A prediction with its input and output. */
const LONGEST = 1024 * 1024;

export const replicate = newRouter();

replicate.post("/:model/:account/:job", async (c) => {
	const { model, account, job } = c.req.param();
	const address = config(c.env)
		.models.get(model)
		?.workers.find((each) => "replicate" in each);
	const webhook = address?.replicate.webhook;
	const body =
		webhook && (await readAtMost(c.req.raw, LONGEST).catch(() => null));
	const report =
		body &&
		(await readWebhook(
			c.req.raw.headers,
			new TextDecoder().decode(body),
			webhook.secret,
			Date.now(),
		));
	if (!report || !isAccountId(account) || !JOB_ID.test(job))
		throw new ApiError({ code: "not_found" });
	// Any call wakes the job.
	const view = await jobOf(c.env, account, job).view();
	const over = view === null || view.finishedAt !== null;
	if (over && (report.status === "starting" || report.status === "processing"))
		await new ReplicateBackend(address).cancel(report.id);
	return c.body(null, 204);
});
