/**
 * Turns names into stubs of Durable Objects; no other file does. Each call makes a new stub,
 * because a stub stays broken after its object has failed.
 */

export const accountOf = (env: Env, account: string) =>
	env.ACCOUNT.getByName(account);

/** @param job `<account>/<job id>`. The account comes from the caller's key, never from a path. */
export const jobByName = (env: Env, job: string) => env.JOB.getByName(job);

export const jobOf = (env: Env, account: string, id: string) =>
	jobByName(env, jobName(account, id));

export const jobName = (account: string, id: string): string =>
	`${account}/${id}`;

/** Each model has one Pool. */
export const poolOf = (env: Env, model: string) => env.POOL.getByName(model);

/** Each webhook has one Endpoint. */
export const endpointOf = (env: Env, account: string, webhook: string) =>
	env.ENDPOINT.getByName(`${account}/${webhook}`);

/** The deployment has one Directory. */
export const directoryOf = (env: Env) => env.DIRECTORY.getByName("accounts");

/** The deployment has one Collector. */
export const collectorOf = (env: Env) => env.COLLECTOR.getByName("edge");
