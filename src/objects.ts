import type { Env } from "./env.ts";

/** The Endpoint of one webhook of an account. */
export const endpointOf = (env: Env, account: string, webhook: string) =>
	env.ENDPOINT.get(env.ENDPOINT.idFromName(`${account}/${webhook}`));
