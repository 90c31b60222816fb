/**
 * The edge, with some changes; only a bench starts it. Where BENCH_COSTS is set it counts what its
 * objects would be billed for, `GET /bench/costs`. It fills an account with settled jobs, `POST
 * /bench/jobs?account=…&count=…&days=…`, tends an account's ledger as its alarm does, `POST
 * /bench/tend?account=…`, and has jobs hold and settle without their Job, `POST
 * /bench/settle?account=…&count=…`.
 */
import { Account as RealAccount } from "../../src/account/account.ts";
import { newJobId } from "../../src/ids.ts";
import app, {
	Collector as RealCollector,
	Job as RealJob,
	Pool as RealPool,
} from "../../src/index.ts";

/** What one class of objects used since the process began. */
interface Used {
	requests: number;
	rowsRead: number;
	rowsWritten: number;
	/** Seconds for which its objects were at work, each by itself; calls at once count once. */
	objectSeconds: number;
}

export { Directory, Endpoint } from "../../src/index.ts";

const used = new Map<string, Used>();
/** Their counts grow until they are read to the end. */
const cursors: { of: Used; cursor: SqlStorageCursor<never> }[] = [];

const of = (name: string): Used => {
	const known = used.get(name);
	if (known) return known;
	const fresh = { requests: 0, rowsRead: 0, rowsWritten: 0, objectSeconds: 0 };
	used.set(name, fresh);
	return fresh;
};

function collect(): void {
	for (const { of, cursor } of cursors.splice(0)) {
		of.rowsRead += cursor.rowsRead;
		of.rowsWritten += cursor.rowsWritten;
	}
}

/** The bench sets it where rows and calls are to be counted. */
type CountedEnv = Env & { BENCH_COSTS?: string };

/** Before the object is made, so that its first statements count too. */
function countRows(
	name: string,
	{ storage }: DurableObjectState,
	env: Env,
): void {
	if (!(env as CountedEnv).BENCH_COSTS) return;
	const { sql } = storage;
	const exec = sql.exec.bind(sql);
	const setAlarm = storage.setAlarm.bind(storage);
	const to = of(name);
	Object.defineProperty(sql, "exec", {
		value: (...args: Parameters<typeof exec>) => {
			const cursor = exec(...args);
			cursors.push({ of: to, cursor: cursor as never });
			if (cursors.length > 1_000) collectOld();
			return cursor;
		},
	});
	Object.defineProperty(storage, "setAlarm", {
		value: (...args: Parameters<typeof setAlarm>) => {
			to.rowsWritten++; // as the price list has it
			return setAlarm(...args);
		},
	});
}

/** All but the newest, whose reader may still be at work. */
function collectOld(): void {
	const newest = cursors.splice(-100);
	collect();
	cursors.push(...newest);
}

/** Calls from outside and alarms, and how long the object was busy with them. */
// biome-ignore lint/suspicious/noExplicitAny: any class of objects
function countCalls(name: string, made: any, calls: string[]): void {
	const to = of(name);
	const { prototype } = made;
	const busy = new WeakMap<object, { calls: number; since: number }>();
	for (const call of calls) {
		const real = prototype[call];
		if (!real) throw new Error(`${name} has no ${call}`);
		prototype[call] = async function (this: object, ...args: unknown[]) {
			const now = busy.get(this) ?? { calls: 0, since: 0 };
			busy.set(this, now);
			to.requests++;
			if (now.calls++ === 0) now.since = Date.now();
			try {
				return await real.apply(this, args);
			} finally {
				if (--now.calls === 0)
					to.objectSeconds += (Date.now() - now.since) / 1000;
			}
		};
	}
}

export class Account extends RealAccount {
	constructor(ctx: DurableObjectState, env: Env) {
		countRows("Account", ctx, env);
		super(ctx, env);
	}

	/** Jobs that succeeded so many days ago, with their ledger rows and due times. */
	async fill(count: number, days: number): Promise<void> {
		const { storage } = this.ctx;
		const { sql } = storage;
		const id = "printf('01BENCH%019d', n)";
		const numbers =
			"WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?)";
		const now = Date.now();
		const then = now - days * 86_400_000;
		storage.transactionSync(() => {
			// What came before is no younger.
			for (const table of ["entry", "credit"])
				sql.exec(`UPDATE ${table} SET at = min(at, ?)`, then);
			const { available, revenue, funding } = sql
				.exec<{ available: number; revenue: number; funding: number }>(
					"SELECT available, revenue, funding FROM entry ORDER BY seq DESC LIMIT 1",
				)
				.one();
			sql.exec(
				`${numbers} INSERT INTO job (id, body_hash, model, images, hold, created_at, status, price,
					balance, settled_at, expires_in, due_at)
				SELECT ${id}, lower(hex(randomblob(32))), 'nano', '[]', 1, ?, 'succeeded', 1, ? - n, ?,
					604800, ? + n FROM number`,
				count,
				then,
				available,
				then,
				now + 604_800_000,
			);
			// Entries keep the balances after them: a hold and a settlement of each job, one by one.
			sql.exec(
				`${numbers} INSERT INTO entry (at, kind, ref, source, target, amount, funding, available,
					held, revenue)
				SELECT ?, iif(step = 0, 'hold', 'settle'), ${id}, iif(step = 0, 'available', 'held'),
					iif(step = 0, 'held', 'revenue'), 1, ?, ? - n, 1 - step, ? + n - 1 + step
				FROM number, (SELECT 0 AS step UNION ALL SELECT 1) ORDER BY n, step`,
				count,
				then,
				funding,
				available,
				revenue,
			);
		});
	}

	/** How far its clock is ahead. */
	#days = 0;

	/**
	 * Does what is due for the ledger a day later, turn by turn, until nothing is.
	 * @returns the newest entry that is audited, and the entries that are still in the object
	 */
	async tend(): Promise<{ audited: number; entries: number }> {
		const { sql } = this.ctx.storage;
		this.#days++;
		this.clock = () => Date.now() + this.#days * 86_400_000;
		const isDue = () =>
			sql
				.exec(
					"SELECT 1 FROM due WHERE key LIKE 'ledger:%' AND at <= ?",
					this.clock(),
				)
				.toArray().length > 0;
		while (isDue()) await this.alarm();
		const { audited } = sql
			.exec<{ audited: number }>("SELECT seq AS audited FROM audit")
			.one();
		const { entries } = sql
			.exec<{ entries: number }>("SELECT count(*) AS entries FROM entry")
			.one();
		return { audited, entries };
	}
}

/** A job that holds and settles at once, so many times. @returns milliseconds of each */
async function holdAndSettle(
	account: DurableObjectStub<Account>,
	count: number,
): Promise<number[]> {
	const secretHash = crypto.randomUUID();
	await account.createKey({ name: "bench", secretHash });
	const credential = {
		secretHash,
		scope: "jobs:write",
		origin: null,
		ip: null,
	} as const;
	const ms: number[] = [];
	for (let n = 0; n < count; n++) {
		const jobId = newJobId(Date.now());
		const from = performance.now();
		const admitted = await account.admit({
			credential,
			jobId,
			callHash: null,
			repeats: null,
			isPrepared: false,
			requestHash: "a".repeat(64),
			task: null,
			model: "nano",
			prices: PRICES,
			maxPrice: 1,
			leastPrice: 0,
			mostTokens: 1,
			quote: null,
			idempotencyKey: null,
			expiresIn: 604_800,
			images: [],
			inline: [],
			previousJob: null,
			webhook: null,
		});
		if (!admitted.ok) throw new Error(admitted.failure.code);
		await account.settle({ jobId, status: "succeeded", price: 1, parts: [] });
		ms.push(performance.now() - from);
	}
	return ms;
}

const PRICES = {
	version: "bench",
	rates: { prompt_tokens: 1, output_tokens: 1, images: 1 },
};

export class Job extends RealJob {
	constructor(ctx: DurableObjectState, env: Env) {
		countRows("Job", ctx, env);
		super(ctx, env);
	}
}

export class Pool extends RealPool {
	constructor(ctx: DurableObjectState, env: Env) {
		countRows("Pool", ctx, env);
		super(ctx, env);
	}
}

export class Collector extends RealCollector {
	constructor(ctx: DurableObjectState, env: Env) {
		countRows("Collector", ctx, env);
		super(ctx, env);
	}
}

let counting = false;

export default {
	async fetch(
		request: Request,
		env: Env,
		ctx: ExecutionContext,
	): Promise<Response> {
		if ((env as CountedEnv).BENCH_COSTS && !counting) {
			counting = true;
			countCalls("Account", RealAccount, [
				"prepare",
				"admit",
				"settle",
				"alarm",
			]);
			countCalls("Job", RealJob, ["start", "granted", "resolve", "alarm"]);
			countCalls("Pool", RealPool, [
				"acquire",
				"heartbeat",
				"release",
				"alarm",
			]);
			countCalls("Collector", RealCollector, ["add"]);
		}
		const { pathname, searchParams } = new URL(request.url);
		if (pathname === "/bench/costs") {
			collect();
			return Response.json(Object.fromEntries(used));
		}
		const { ACCOUNT } = env as unknown as {
			ACCOUNT: DurableObjectNamespace<Account>;
		};
		const account = ACCOUNT.getByName(searchParams.get("account") ?? "");
		const [count, days] = ["count", "days"].map((name) =>
			Number(searchParams.get(name) ?? 0),
		) as [number, number];
		switch (pathname) {
			case "/bench/jobs":
				await account.fill(count, days);
				return new Response(null, { status: 204 });
			case "/bench/tend":
				return Response.json(await account.tend());
			case "/bench/settle":
				return Response.json(await holdAndSettle(account, count));
			default:
				return app.fetch(request, env, ctx);
		}
	},
};
