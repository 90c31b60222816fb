/**
 * Parts of a ledger that lie in the bucket: months that ended, as JSON lines, each with a signed
 * snapshot beside it. The Account writes them, the Worker reads them.
 */
import { equalInConstantTime, hex, hmac, sha256 } from "../crypto.ts";
import type { EntryKind } from "./ledger.ts";

/** Micro-USD by book. */
export interface BookBalances {
	funding: number;
	available: number;
	held: number;
	revenue: number;
}

/** A line of a part: an entry as the ledger has it. */
export interface LedgerRow extends BookBalances {
	seq: number;
	at: number;
	kind: EntryKind;
	ref: string;
	source: string;
	target: string;
	amount: number;
	released: number;
}

/** What a part is, and what it continues. */
export interface Snapshot {
	account: string;
	/** UTC: `2026-10`. */
	month: string;
	first_seq: number;
	last_seq: number;
	/** Before the first entry, and after the last. */
	before: BookBalances;
	after: BookBalances;
	/** Of the JSON lines, hex. */
	sha256: string;
}

export interface SignedSnapshot {
	snapshot: Snapshot;
	/** Hex. */
	signature: string;
}

const LINES = ".jsonl";

/** The key of a part's JSON lines in the bucket. Nothing serves them: callers get statements. */
export const partKey = (
	account: string,
	month: string,
	firstSeq: number,
): string => `ledger/${account}/${month}/${firstSeq}${LINES}`;

/** The key of its snapshot. */
export const snapshotKey = (part: string): string =>
	`${part.slice(0, -LINES.length)}.snapshot.json`;

export const encodeRows = (
	rows: readonly LedgerRow[],
): Uint8Array<ArrayBuffer> =>
	new TextEncoder().encode(
		rows.map((row) => `${JSON.stringify(row)}\n`).join(""),
	) as Uint8Array<ArrayBuffer>;

export const decodeRows = (bytes: Uint8Array): LedgerRow[] =>
	new TextDecoder()
		.decode(bytes)
		.split("\n")
		.filter(Boolean)
		.map((line) => JSON.parse(line) as LedgerRow);

/** Signs with the deployment's first server key. */
export const signSnapshot = async (
	[serverKey = ""]: readonly string[],
	snapshot: Snapshot,
): Promise<SignedSnapshot> => ({
	snapshot,
	signature: await signatureOf(serverKey, snapshot),
});

/** Whether one of the server keys signed it, and it is the snapshot of these bytes. */
export async function verifySnapshot(
	serverKeys: readonly string[],
	{ snapshot, signature }: SignedSnapshot,
	bytes: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
	if (snapshot.sha256 !== (await sha256(bytes))) return false;
	for (const serverKey of serverKeys)
		if (equalInConstantTime(signature, await signatureOf(serverKey, snapshot)))
			return true;
	return false;
}

/** Under a key of its own, so that no signature of a snapshot is one of anything else. */
async function signatureOf(
	serverKey: string,
	snapshot: Snapshot,
): Promise<string> {
	const key = hex(
		(await hmac(serverKey, "ledger snapshot")).buffer as ArrayBuffer,
	);
	const signature = await hmac(key, JSON.stringify(snapshot));
	return hex(signature.buffer as ArrayBuffer);
}
