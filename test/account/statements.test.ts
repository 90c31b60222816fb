import { runInDurableObject } from "cloudflare:test";
import { expect, it, vi } from "vitest";
import type { Account } from "../../src/account/account.ts";
import type { Credential } from "../../src/contract/account.ts";
import { unwrap } from "../../src/errors.ts";
import { newUploadId } from "../../src/ids.ts";
import {
	admissionOf,
	credentialOf,
	newAccount,
	type TestAccount,
} from "../support/account.ts";
import { bucket } from "../support/bucket.ts";

const JOBS = 100_000;
/**
 * An account that has had many jobs and their images, and kept their keys and due times.
 * @param shown of the jobs, those that are not gone
 */
async function old(shown: number): Promise<TestAccount> {
	const account = await newAccount(1_000_000);
	await runInDurableObject(account.stub, (_, { storage: { sql } }) => {
		const many = `
			WITH RECURSIVE n(i) AS (
				SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${JOBS}
			)`;
		sql.exec(`${many}
			INSERT INTO job
				(id, body_hash, model, images, hold, created_at, status, price, balance,
				settled_at, expires_in, due_at)
			SELECT printf('%026d', i), 'a', 'nano', '[]', 1, i, 'succeeded', 1, 1,
				i, 604800, 9000000000000 + i
			FROM n`);
		sql.exec(`
			INSERT INTO gone_job
			SELECT id, body_hash, model, hold, created_at, status, expires_in, price,
				balance, settled_at, made_by
			FROM job WHERE seq < ${JOBS - shown}`);
		sql.exec(`DELETE FROM job WHERE seq < ${JOBS - shown}`);
		sql.exec(`${many}
			INSERT INTO entry
				(at, kind, ref, source, target, amount, funding, available, held, revenue)
			SELECT i, 'hold', printf('%026d', i), 'available', 'held',
				0, -1000000, 1000000, 0, 0
			FROM n`);
		sql.exec(`${many}
			INSERT INTO upload
				(id, status, content_type, bytes, sha256, key, staged, created_at, inline)
			SELECT printf('img_%026d', i), 'ready', 'image/png', 9, 'c', 'k', 0, i,
				i > ${shown}
			FROM n`);
		sql.exec(`${many}
			INSERT INTO idempotency_key (key, job, created_at)
			SELECT printf('k%d', i), printf('%026d', i), 9000000000000
			FROM n`);
	});
	return account;
}

/**
 * All that an account does about a job, from the question to the erasure, and its alarm meanwhile.
 */
async function life(
	account: TestAccount,
	credential: Credential,
	object: Account,
): Promise<void> {
	const upload = newUploadId(Date.now());
	const draft = { id: upload, bytes: 9, sha256: "c".repeat(64) };
	await object.createUploads(credential, [
		{ ...draft, contentType: "image/png", way: "inline" },
	]);
	const image = { id: upload, sha256: "c".repeat(64), bytes: 9 };
	const callHash = "d".repeat(64);
	const admission = admissionOf(account, {
		callHash,
		repeats: callHash,
		credential,
		idempotencyKey: "some key",
		images: [{ upload, field: "images[0].url", sha256: "c".repeat(64) }],
		inline: [{ ...image, width: 8, height: 8, url: null }],
	});
	const { jobId } = admission;
	for (let times = 0; times < 2; times++) {
		unwrap(
			await object.prepare({
				...admission,
				price: admission,
				uploads: [],
				previous: null,
				hasWebhook: false,
			}),
		);
		unwrap(await object.admit(admission));
	}
	unwrap(await object.lookup(credential, jobId));
	for (const cursor of [null, "jzzzz"])
		unwrap(await object.jobs(credential, { cursor, limit: 20 }));
	for (const order of ["newest", "oldest"] as const)
		unwrap(
			await object.uploads(credential, {
				after: null,
				limit: 20,
				order,
			}),
		);
	const outcome = { jobId, price: 1, parts: [] };
	for (let times = 0; times < 2; times++)
		await object.settle({ ...outcome, status: "succeeded" });
	await object.showTo(credential);
	unwrap(await object.credit({ id: "again", amount: 1 }));
	unwrap(await object.eraseJob(credential, jobId));
	await object.alarm();
}

/** What each statement of a job's life read and wrote. */
const statements = (account: TestAccount, credential: Credential) =>
	runInDurableObject(
		account.stub,
		async (object: Account, { storage: { sql } }) => {
			const exec = vi.spyOn(sql, "exec");
			await life(account, credential, object);
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
const written = (all: { rowsWritten: number }[]) =>
	all.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0);

it("no statement reads more rows for the jobs before it, and a job writes few", async () => {
	bucket();
	const account = await old(50);
	const all = await statements(account, account.credential);
	expect(new Set(all.map(({ text }) => text)).size).toBeGreaterThan(20);
	expect(all.filter(({ rowsRead }) => rowsRead > 50)).toEqual([]);
	// Three of them tell the feed, one counts the repeat.
	expect(written(all)).toBeLessThanOrEqual(35);
});

it("a key that sees only its own reads no row of others, and writes one row more", async () => {
	bucket();
	const account = await old(JOBS);
	const origin = "https://app.example.com";
	const secretHash = "hash of the page's";
	unwrap(
		await account.stub.createKey({ name: "p", secretHash, origins: [origin] }),
	);
	const all = await statements(account, credentialOf(secretHash, { origin }));
	expect(all.filter(({ rowsRead }) => rowsRead > 50)).toEqual([]);
	expect(written(all)).toBeLessThanOrEqual(36);
});

async function readyUpload(account: TestAccount): Promise<string> {
	const id = newUploadId(Date.now());
	const draft = { id, bytes: 9, sha256: "c".repeat(64) };
	const stored = { id, bytes: 9, sha256: "c".repeat(64), width: 8, height: 8 };
	unwrap(
		await account.stub.createUploads(account.credential, [
			{ ...draft, contentType: "image/png", way: "body" },
		]),
	);
	unwrap(await account.stub.finalizeUploads(account.credential, [stored]));
	return id;
}

it.each([
	["without images", 9],
	["with uploads", 9],
	["with a quote", 11],
])("a job %s writes %i rows of its account", async (kind, expected) => {
	const account = await newAccount(1_000_000);
	const images =
		kind === "with uploads"
			? [
					{
						upload: await readyUpload(account),
						field: "images[0].upload",
						sha256: null,
					},
				]
			: [];
	// The first job sets the alarm, the tables begin, and the minute has its one row for the key.
	const now = Date.now();
	await runInDurableObject(account.stub, (object: Account) => {
		object.clock = () => now;
	});
	const quoted = () => ({
		images,
		quote:
			kind === "with a quote"
				? { id: crypto.randomUUID(), expiresAt: now + 60_000 }
				: null,
	});
	unwrap(await account.stub.admit(admissionOf(account, quoted())));
	const rows = await runInDurableObject(
		account.stub,
		async (object: Account, { storage: { sql } }) => {
			const exec = vi.spyOn(sql, "exec");
			const admission = admissionOf(account, quoted());
			unwrap(await object.admit(admission));
			await object.settle({
				jobId: admission.jobId,
				status: "succeeded",
				price: 1,
				parts: [],
			});
			const cursors = exec.mock.results.map(({ value }) => value);
			exec.mockRestore();
			return cursors.map((cursor) => ({
				rowsWritten: (cursor as SqlStorageCursor<never>).rowsWritten,
			}));
		},
	);
	expect(written(rows)).toBe(expected);
});

it("calls that only read write one row in each minute that has any", async () => {
	const account = await newAccount();
	const rows = await runInDurableObject(
		account.stub,
		async (object: Account, { storage: { sql } }) => {
			const exec = vi.spyOn(sql, "exec");
			const start = Date.parse("2999-01-01T10:00:00Z");
			for (const second of [0, 1, 59, 60, 61, 119, 600]) {
				object.clock = () => start + second * 1000;
				unwrap(
					await object.jobs(account.credential, { cursor: null, limit: 1 }),
				);
			}
			const cursors = exec.mock.results.map(({ value }) => value);
			exec.mockRestore();
			return cursors.map((cursor) => ({
				rowsWritten: (cursor as SqlStorageCursor<never>).rowsWritten,
			}));
		},
	);
	expect(written(rows)).toBe(3);
});
