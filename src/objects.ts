/**
 * The addresses of the Durable Objects: the one place that turns names into stubs. A stub is made anew for each use, because one that failed
 * stays broken.
 */

export const accountOf = (env: Env, account: string) =>
	env.ACCOUNT.getByName(account);

/** @param job `<account>/<job id>`: the account comes from the caller's key, never from a path. */
export const jobByName = (env: Env, job: string) => env.JOB.getByName(job);

export const jobOf = (env: Env, account: string, id: string) =>
	jobByName(env, jobName(account, id));

export const jobName = (account: string, id: string): string =>
	`${account}/${id}`;

/** A model has one Pool. */
export const poolOf = (env: Env, model: string) => env.POOL.getByName(model);

/** A webhook of an account has one Endpoint. */
export const endpointOf = (env: Env, account: string, webhook: string) =>
	env.ENDPOINT.getByName(`${account}/${webhook}`);

/** The deployment has one Metrics object. */
export const metricsOf = (env: Env) => env.METRICS.getByName("edge");
