import { runInDurableObject } from "cloudflare:test";
import { expect, it, vi } from "vitest";
import type { Account } from "../../src/account/account.ts";
import { unwrap } from "../../src/errors.ts";
import { newUploadId } from "../../src/ids.ts";
import {
	admissionOf,
	newAccount,
	type TestAccount,
} from "../support/account.ts";
import { bucket } from "../support/bucket.ts";

const JOBS = 100_000;
/** An account that has had many jobs, most of them gone, and kept their keys and due times. */
async function old(): Promise<TestAccount> {
	const account = await newAccount(1_000_000);
	await runInDurableObject(account.stub, (_, { storage: { sql } }) => {
		const many = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${JOBS})`;
		sql.exec(`${many} INSERT INTO job (id, body_hash, model, images, hold, created_at, status, price, balance, settled_at, gone)
			SELECT printf('%026d', i), 'a', 'nano', '[]', 1, i, 'succeeded', 1, 1, i, i < ${JOBS - 50} FROM n`);
		sql.exec(`${many} INSERT INTO entry (at, kind, ref, source, target, amount)
			SELECT i, 'hold', printf('%026d', i), 'available', 'held', 0 FROM n`);
		sql.exec(
			`${many} INSERT INTO due (key, at) SELECT printf('expire:%026d', i), 9000000000000 + i FROM n`,
		);
		sql.exec(
			`${many} INSERT INTO idempotency_key (key, job, created_at) SELECT printf('k%d', i), printf('%026d', i), 9000000000000 FROM n`,
		);
	});
	return account;
}

/** All that an account does about a job, from the question to the erasure, and what its alarm does meanwhile. */
async function life(account: TestAccount, object: Account): Promise<void> {
	const { secretHash } = account;
	const upload = newUploadId(Date.now());
	const draft = { id: upload, bytes: 9, sha256: "c".repeat(64) };
	await object.createUploads(secretHash, [
		{ ...draft, contentType: "image/png", way: "inline" },
	]);
	const image = { id: upload, sha256: "c".repeat(64), bytes: 9 };
	const call = "d".repeat(64);
	const admission = admissionOf(account, {
		...{ call, repeats: call },
		idempotencyKey: "some key",
		images: [upload],
		inline: [{ ...image, width: 8, height: 8, url: null }],
	});
	const { jobId } = admission;
	for (let times = 0; times < 2; times++) {
		unwrap(await object.inquire({ ...admission, uploads: [], previous: null }));
		unwrap(await object.admit(admission));
	}
	unwrap(await object.lookup(secretHash, jobId));
	for (const cursor of [null, "jzzzz"])
		unwrap(await object.jobs(secretHash, { cursor, limit: 20 }));
	const outcome = { jobId, outputTokens: 1, maxTokens: 1 };
	for (let times = 0; times < 2; times++)
		await object.settle({ ...outcome, status: "succeeded" });
	unwrap(await object.showTo(secretHash));
	unwrap(await object.credit({ id: "again", amount: 1 }));
	unwrap(await object.eraseJob(secretHash, jobId));
	await object.alarm();
}

it("no statement of an account reads more rows for the jobs that were before, and a job writes few", async () => {
	bucket();
	const account = await old();
	const read = await runInDurableObject(
		account.stub,
		async (object: Account, { storage: { sql } }) => {
			const exec = vi.spyOn(sql, "exec");
			await life(account, object);
			const cursors = exec.mock.results.map(({ value }) => value);
			const texts = exec.mock.calls.map(([text]) => text);
			exec.mockRestore();
			return cursors.map((cursor, n) => ({
				text: texts[n],
				rowsRead: (cursor as SqlStorageCursor<never>).rowsRead,
				rowsWritten: (cursor as SqlStorageCursor<never>).rowsWritten,
			}));
		},
	);
	expect(new Set(read.map(({ text }) => text)).size).toBeGreaterThan(20);
	expect(read.filter(({ rowsRead }) => rowsRead > 50)).toEqual([]);
	const written = read.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0);
	// Three of them tell the feed.
	expect(written).toBeLessThanOrEqual(43);
});
