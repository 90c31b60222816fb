/** Reading a job that the account allows. */
import type { Context } from "hono";
import { ApiError } from "../errors.ts";
import { unwrapForCaller } from "../http/authenticate.ts";
import { timed } from "../http/request-log.ts";
import type { App } from "../http/router.ts";
import { jobOf } from "../objects.ts";

/**
 * Asks the Job, once the account has allowed it.
 * @param call null where the Job has nothing to tell
 * @throws ApiError `job_not_found`, also for a job that was admitted but has not started;
 * `job_gone`
 */
export async function askJob<Answer>(
	c: Context<App>,
	id: string,
	call: (job: ReturnType<typeof jobOf>) => Promise<Answer | null>,
): Promise<Answer> {
	const { id: owner, account, credential } = c.var.caller;
	const lookup = timed(c, "auth", account.lookup(credential, id));
	const { job } = unwrapForCaller(c, await lookup);
	const answer = await timed(c, "read", call(jobOf(c.env, owner, id)));
	if (answer) return answer;
	throw new ApiError({
		code: job.status === "accepted" ? "job_not_found" : "job_gone",
	});
}
