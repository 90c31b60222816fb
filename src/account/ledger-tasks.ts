/**
 * What the account's alarm does about its ledger: audits it, and rolls it over. With the audit it
 * sums the usage of days that ended.
 *
 * Months that ended go to the bucket in parts, so that the object stays small. A part is written
 * and read back first, then recorded, and only then deleted here, some entries at a time: whatever
 * dies in between, each entry is shown once. A repeat writes the same bytes to the same keys.
 */
import {
	encodeRows,
	type LedgerRow,
	partKey,
	type SignedSnapshot,
	signSnapshot,
	snapshotKey,
	verifySnapshot,
} from "../contract/ledger-part.ts";
import { sha256 } from "../crypto.ts";
import { config } from "../env.ts";
import { get, put } from "../images/s3.ts";
import { logLine } from "../log.ts";
import { checkChain } from "./audit.ts";
import { auditSlice, auditView, noteMismatch } from "./audit-rows.ts";
import { clearDue, type DueTask } from "./due.ts";
import type { TaskContext } from "./due-tasks.ts";
import { freeze, identityOf } from "./identity.ts";
import { AUDIT } from "./ledger-rows.ts";
import { cutPart, monthOf } from "./rollover.ts";
import {
	balancesBefore,
	deleteRolled,
	hasOpenHold,
	nextRoll,
	oldestRows,
	recordPart,
	setRollDue,
} from "./rollover-rows.ts";
import { sumUsage } from "./usage-rows.ts";

/** The task has cleared its row itself, in the turn in which it saw that it may. */
export const CLEARED = "cleared";
/** When to look again at a month that cannot go yet. */
const NOT_YET_MS = 24 * 60 * 60_000;

/** @returns as `runTask` */
export const ledgerTask = async (
	context: TaskContext,
	due: DueTask,
): Promise<number | null | typeof CLEARED> =>
	due.key === AUDIT ? auditLedger(context) : rollLedger(context);

/**
 * Audits a slice of the ledger, and the next one in another turn. The row is cleared in the turn
 * that reaches the newest entry: the next entry sets it again.
 */
function auditLedger(context: TaskContext): number | typeof CLEARED {
	const { store, clock, measure } = context;
	const { sql } = store;
	const now = clock();
	const audit = store.write(() => {
		if (isFrozen(sql)) {
			clearDue(sql, AUDIT);
			return null;
		}
		const slice = auditSlice(sql, now);
		if (slice.done) clearDue(sql, AUDIT);
		if (slice.mismatch !== null) freeze(sql, now);
		else if (slice.done) {
			sumUsage(sql, now);
			setRollDue(sql, now);
		}
		return slice;
	});
	if (audit === null) return CLEARED;
	if (!audit.done) return now;
	if (audit.mismatch !== null) report(context, audit.mismatch);
	else
		measure([
			{ name: "ledger_audits_total", labels: { result: "clean" }, value: 1 },
		]);
	return CLEARED;
}

/** One step: deletes some entries that are in the bucket, or writes the next part there. */
async function rollLedger(context: TaskContext): Promise<number | null> {
	const { env, store, account, clock } = context;
	const { sql } = store;
	if (store.write(() => deleteRolled(sql))) return clock();
	const now = clock();
	const at = nextRoll(sql);
	if (at === null || isFrozen(sql)) return null;
	if (now < at) return at;
	const rows = cutPart(oldestRows(sql));
	const [first, last] = [rows[0], rows.at(-1)];
	if (!first || !last) return null;
	// It was audited long ago. Should it have changed since, it stays where it can be looked at.
	const before = balancesBefore(sql);
	const mismatch = checkChain(
		{ seq: first.seq - 1, balances: before },
		rows.map((row) => ({ ...row, balances: balancesOf(row) })) as Parameters<
			typeof checkChain
		>[1],
	);
	if (mismatch !== null) {
		store.write(() => {
			noteMismatch(sql, mismatch, now);
			freeze(sql, now);
		});
		report(context, mismatch);
		return null;
	}
	if (auditView(sql).seq < last.seq || hasOpenHold(sql, first.seq, last.seq))
		return now + NOT_YET_MS;
	const month = monthOf(first.at);
	const key = partKey(account, month, first.seq);
	const bytes = encodeRows(rows);
	const signed = await signSnapshot(config(env).KEY_SECRETS, {
		account,
		month,
		first_seq: first.seq,
		last_seq: last.seq,
		before,
		after: balancesOf(last),
		sha256: await sha256(bytes),
	});
	await writePart(env, key, bytes, signed);
	store.write(() => recordPart(sql, rows, key, bytes.length, signed));
	return clock();
}

/** Writes a part and its snapshot, and reads both back. @throws Error where they read otherwise */
async function writePart(
	env: Env,
	key: string,
	bytes: Uint8Array<ArrayBuffer>,
	signed: SignedSnapshot,
): Promise<void> {
	const store = config(env);
	const text = new TextEncoder().encode(
		JSON.stringify(signed),
	) as Uint8Array<ArrayBuffer>;
	const proofHash = await sha256(text);
	const { snapshot } = signed;
	await put(store, key, {
		bytes,
		contentType: "application/jsonl",
		sha256: snapshot.sha256,
	});
	await put(store, snapshotKey(key), {
		bytes: text,
		contentType: "application/json",
		sha256: proofHash,
	});
	const [part, proof] = await Promise.all([
		get(store, key, bytes.length),
		get(store, snapshotKey(key), text.length),
	]);
	const isThere =
		part instanceof Uint8Array &&
		proof instanceof Uint8Array &&
		(await sha256(proof)) === proofHash &&
		(await verifySnapshot(store.KEY_SECRETS, signed, part));
	if (!isThere) throw new Error("a part of a ledger reads back otherwise");
}

const isFrozen = (sql: SqlStorage): boolean =>
	identityOf(sql).frozen_at !== null;

/** Alerts operators to an account that was frozen. */
function report(
	{ account, onIdentityChanged, measure }: TaskContext,
	mismatch: string,
): void {
	logLine("ledger_mismatch", { level: "error", account, mismatch });
	measure([
		{ name: "ledger_audits_total", labels: { result: "mismatch" }, value: 1 },
	]);
	onIdentityChanged();
}

const balancesOf = ({ funding, available, held, revenue }: LedgerRow) => ({
	funding,
	available,
	held,
	revenue,
});
