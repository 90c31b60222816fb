/**
 * The edge with accounts whose time a test moves: `POST /test/clock?account=<id>&ahead=<ms>` does
 * what is due by then.
 */

import { default as app, Account as RealAccount } from "../../src/index.ts";

export { Collector, Directory, Endpoint, Job, Pool } from "../../src/index.ts";

export class Account extends RealAccount {
	async move(ahead: number): Promise<void> {
		this.clock = () => Date.now() + ahead;
		await this.alarm();
	}
}

export default {
	async fetch(
		request: Request,
		env: Env,
		context: ExecutionContext,
	): Promise<Response> {
		const { pathname, searchParams } = new URL(request.url);
		if (pathname !== "/test/clock") return app.fetch(request, env, context);
		const { ACCOUNT } = env as unknown as {
			ACCOUNT: DurableObjectNamespace<Account>;
		};
		const id = ACCOUNT.idFromName(searchParams.get("account") ?? "");
		await ACCOUNT.get(id).move(Number(searchParams.get("ahead")));
		return new Response(null, { status: 204 });
	},
};
