/** A real account in the test's own storage, with a key and credit. */

import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { Account } from "../../src/account/account.ts";
import { issueKey, newAccountId } from "../../src/api-key.ts";
import type { Admission, Credential } from "../../src/contract/account.ts";
import { config } from "../../src/env.ts";
import { unwrap } from "../../src/errors.ts";
import { newJobId } from "../../src/ids.ts";
import { ONE_EACH } from "./prices.ts";

export const bindings = env as unknown as Env;

export interface TestAccount {
	id: string;
	key: string;
	credential: Credential;
	stub: DurableObjectStub<Account>;
}

export const accountStub = (id: string): DurableObjectStub<Account> =>
	bindings.ACCOUNT.get(bindings.ACCOUNT.idFromName(id));

/** @param credit micro-USD */
export async function newAccount(credit = 0): Promise<TestAccount> {
	const id = newAccountId();
	const stub = accountStub(id);
	unwrap(await stub.create({ id, name: "test" }));
	if (credit > 0) unwrap(await stub.credit({ id: "first", amount: credit }));
	const [signer] = config(bindings).KEY_SECRETS as [string];
	const { key, secretHash } = await issueKey(signer, id);
	unwrap(await stub.createKey({ name: "test", secretHash }));
	return { id, key, credential: credentialOf(secretHash), stub };
}

/** A call with this secret, as the Worker sees one from a server. */
export const credentialOf = (
	secretHash: string,
	part: Partial<Credential> = {},
): Credential => ({
	secretHash,
	scope: "jobs:write",
	origin: null,
	ip: null,
	...part,
});

/** An admission of a new job without images. */
export const admissionOf = (
	account: TestAccount,
	part: Partial<Admission> = {},
): Admission => ({
	credential: account.credential,
	jobId: newJobId(Date.now()),
	callHash: null,
	repeats: null,
	isPrepared: false,
	requestHash: "a".repeat(64),
	task: null,
	model: "nano",
	prices: ONE_EACH,
	maxPrice: 1000,
	leastPrice: 0,
	mostTokens: 1,
	quote: null,
	idempotencyKey: null,
	expiresIn: 604_800,
	images: [],
	inline: [],
	previousJob: null,
	webhook: null,
	...part,
});

/** A job's images that are uploads. */
export const uploadsOf = (...uploads: string[]): Admission["images"] =>
	uploads.map((upload, n) => ({
		upload,
		field: `images[${n}].upload`,
		sha256: null,
	}));

/**
 * Every row of every table of an object: what a call that changes nothing must leave as it is. When
 * a secret was last used is left out: that any call may change. So is when the ledger is audited or
 * rolled over, which is due a while after any entry.
 */
export const dump = (
	stub: DurableObjectStub<Account>,
): Promise<Record<string, unknown[]>> =>
	runInDurableObject(stub, (_, state) =>
		Object.fromEntries(
			state.storage.sql
				.exec<{ name: string }>(
					"SELECT name FROM sqlite_master WHERE type = 'table' " +
						"AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
				)
				.toArray()
				.map(({ name }) => [
					name,
					state.storage.sql
						.exec(`SELECT * FROM "${name}"`)
						.toArray()
						.filter(({ key }) => !(name === "due" && /^ledger:/.test(`${key}`)))
						.map(({ last_used_at: _, ...row }) => row),
				]),
		),
	);

/** Sets the account's clock ahead of the real one. It falls back when the object is evicted. */
export const moveClock = (
	stub: DurableObjectStub<Account>,
	ms: number,
): Promise<void> =>
	runInDurableObject(stub, (account: Account) => {
		account.clock = () => Date.now() + ms;
	});

/** Lets the account's alarm ring as if `ms` had passed. */
export async function ringAfter(
	{ stub }: TestAccount,
	ms: number,
): Promise<void> {
	await moveClock(stub, ms);
	if (!(await runDurableObjectAlarm(stub)))
		throw new Error("the account has set no alarm");
}
