import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { STEPS } from "../../src/account/schema.ts";
import { issueKey, newAccountId } from "../../src/api-key.ts";
import type { Credential } from "../../src/contract/account.ts";
import { migrate, versionOf } from "../../src/durable/migrate.ts";
import { config } from "../../src/env.ts";

import { unwrap } from "../../src/errors.ts";
import { newJobId, newUploadId } from "../../src/ids.ts";
import { finalKey } from "../../src/images/key.ts";
import {
	accountStub,
	admissionOf,
	bindings,
	dump,
	newAccount,
	type TestAccount,
} from "../support/account.ts";

const PRICE = 1000;
const DAY = 24 * 60 * 60_000;
const SHA = "c".repeat(64);
const BODY = "a".repeat(64);

/** What version 1 left behind: one job open, one settled, one that never started; an upload that the open job holds, and one that is pending. */
async function versionOne() {
	const id = newAccountId();
	const stub = accountStub(id);
	const [signer] = config(bindings).KEY_SECRETS as [string];
	const { key, secretHash } = await issueKey(signer, id);
	const account: TestAccount = { id, key, secretHash, stub };
	const [open, settled, lost] = [newJobId(1), newJobId(2), newJobId(3)];
	const [ready, pending] = [newUploadId(1), newUploadId(2)];
	const now = Date.now();
	const image = {
		upload: ready,
		key: finalKey(id, ready),
		sha256: SHA,
		contentType: "image/png",
		bytes: 9,
		width: 8,
		height: 8,
	};
	await runInDurableObject(stub, (_, { storage }) => {
		const { sql } = storage;
		storage.transactionSync(() => migrate(sql, STEPS.slice(0, 1)));
		sql.exec("INSERT INTO account VALUES (?, 'old', ?, 'secret')", id, now);
		sql.exec(
			"INSERT INTO key VALUES ('key_1', 'old', ?, ?, NULL)",
			secretHash,
			now,
		);
		const entry = (kind: string, ref: string, from: string, to: string) =>
			sql.exec(
				"INSERT INTO entry (at, kind, ref, source, target, amount) VALUES (?, ?, ?, ?, ?, ?)",
				...[now, kind, ref, from, to, kind === "credit" ? 9 * PRICE : PRICE],
			);
		entry("credit", "first", "funding", "available");
		for (const job of [open, settled, lost])
			entry("hold", job, "available", "held");
		entry("settle", settled, "held", "revenue");
		entry("release", lost, "held", "available");
		sql.exec(
			"UPDATE balance SET funding = -9000, available = 7000, held = 1000, revenue = 1000",
		);
		const columns = "id, body_hash, model, images, hold, created_at";
		sql.exec(
			`INSERT INTO job (${columns}) VALUES (?, ?, 'nano', ?, ?, ?)`,
			...[open, BODY, JSON.stringify([image]), PRICE, now],
		);
		for (const [job, status, gone, price] of [
			[settled, "succeeded", 0, PRICE],
			[lost, "expired", 1, 0],
		] as const)
			sql.exec(
				`INSERT INTO job (${columns}, status, void, price, balance, settled_at) VALUES (?, ?, 'nano', '[]', ?, ?, ?, ?, ?, 0, ?)`,
				...[job, BODY, PRICE, now, status, gone, price, now - 90 * DAY],
			);
		for (const upload of [ready, pending])
			sql.exec(
				"INSERT INTO upload (id, content_type, bytes, sha256, key, staged, created_at) VALUES (?, 'image/png', 9, ?, ?, 0, ?)",
				...[upload, SHA, finalKey(id, upload), now - 90 * DAY],
			);
		sql.exec(
			"UPDATE upload SET status = 'ready', stored_sha256 = ?, stored_bytes = 9, width = 8, height = 8 WHERE id = ?",
			...[SHA, ready],
		);
		sql.exec("INSERT INTO image_hold VALUES (?, ?)", open, ready);
		for (const due of [`orphan:${open}`, `upload:${pending}`])
			sql.exec("INSERT INTO due VALUES (?, ?)", due, now + 60_000);
	});
	await evictDurableObject(stub);
	return { account, open, settled, lost, ready, pending };
}

describe("an account that was written by version 1", () => {
	it("is brought to the last version with all that it held, and when each of it ends", async () => {
		const { account, open, settled, ready, pending } = await versionOne();
		expect(unwrap(await account.stub.show()).account).toMatchObject({
			available: 7 * PRICE,
			held: PRICE,
		});
		const { due, job } = (await dump(account.stub)) as {
			due: { key: string; at: number }[];
			job: { id: string; gone: number; expires_in: number }[];
		};
		expect(job.map(({ gone, expires_in }) => [gone, expires_in])).toEqual([
			[0, 604_800],
			[0, 604_800],
			[1, 604_800],
		]);
		const now = Date.now();
		const days = Object.fromEntries(
			due.map(({ key, at }) => [key, Math.round((at - now) / DAY)]),
		);
		expect(days).toEqual({
			[`orphan:${open}`]: 0,
			[`expire:${settled}`]: 7,
			[`upload:${ready}`]: 30,
			[`upload:${pending}`]: 0,
		});
		await runInDurableObject(account.stub, (_, { storage }) => {
			expect(versionOf(storage.sql)).toBe(STEPS.length);
		});
	});

	it("is its owner's: a key that sees only its own sees nothing of it", async () => {
		const { account, open, settled, ready } = await versionOne();
		const { stub } = account;
		const origin = "https://app.example.com";
		const page = { secretHash: "hash of the page's", origin };
		unwrap(
			await stub.createKey({
				...{ name: "p", secretHash: page.secretHash, origins: [origin] },
			}),
		);
		const seen = async (credential: Credential) => {
			const { jobs } = unwrap(
				await stub.jobs(credential, { cursor: null, limit: 9 }),
			);
			const { uploads } = unwrap(
				await stub.uploads(credential, {
					...{ after: null, limit: 9, order: "newest" as const },
				}),
			);
			return [...jobs, ...uploads].map(({ id }) => id);
		};
		expect(await seen(page)).toEqual([]);
		for (const job of [open, settled])
			expect(await stub.lookup(page, job)).toMatchObject({
				failure: { code: "job_not_found" },
			});
		expect(await stub.upload(page, ready)).toMatchObject({
			failure: { code: "upload_not_found" },
		});
		expect(await seen(account.secretHash)).toEqual(
			expect.arrayContaining([open, settled, ready]),
		);
	});

	it("lists as uploads what was uploaded by itself, and no image that came with a job", async () => {
		const account = await newAccount();
		const old = accountStub("uploads of version five");
		const [own, inline] = [newUploadId(1), newUploadId(2)];
		await runInDurableObject(old, (_, { storage }) => {
			const { sql } = storage;
			storage.transactionSync(() => migrate(sql, STEPS.slice(0, 5)));
			sql.exec("INSERT INTO account VALUES ('five', 'old', 1, 's')");
			sql.exec(
				"INSERT INTO key (id, name, secret_hash, created_at) VALUES ('key_1', 'old', ?, 1)",
				account.secretHash,
			);
			for (const id of [own, inline])
				sql.exec(
					"INSERT INTO upload (id, status, content_type, bytes, sha256, key, staged, created_at) VALUES (?, 'ready', 'image/png', 9, ?, 'k', 0, 1)",
					...[id, SHA],
				);
			sql.exec("INSERT INTO image_use VALUES (?, 'some job')", inline);
		});
		await evictDurableObject(old);
		const page = { after: null, limit: 9, order: "newest" as const };
		const { uploads } = unwrap(await old.uploads(account.secretHash, page));
		expect(uploads.map(({ id }) => id)).toEqual([own]);
	});

	it("goes on: its open hold settles once, its names stay taken, new jobs run", async () => {
		const { account, open, settled, lost, ready } = await versionOne();
		const { stub, secretHash } = account;
		const again = (jobId: string, bodyHash = BODY) =>
			stub.admit(admissionOf(account, { jobId, bodyHash }));
		expect(unwrap(await again(open))).toMatchObject({
			answer: "same",
			images: [{ upload: ready, sha256: SHA }],
		});
		expect(await again(open, "b".repeat(64))).toMatchObject({
			failure: { code: "id_conflict" },
		});
		expect(unwrap(await again(settled)).answer).toBe("same");
		expect(await again(lost)).toMatchObject({ failure: { code: "job_gone" } });
		const tokens = { outputTokens: 3, maxTokens: 3 };
		const settle = () =>
			stub.settle({ jobId: open, status: "succeeded", ...tokens });
		const first = await settle();
		expect(first).toMatchObject({ price: PRICE, balance: 7 * PRICE });
		expect(await settle()).toEqual(first);
		unwrap(
			await stub.admit(
				admissionOf(account, {
					...{ images: [ready], fields: ["images[0].upload"] },
				}),
			),
		);
		const { jobs } = unwrap(
			await stub.jobs(secretHash, { cursor: null, limit: 9 }),
		);
		expect(jobs.map(({ status }) => status)).toEqual([
			"accepted",
			"succeeded",
			"succeeded",
		]);
		expect(unwrap(await stub.show()).account).toMatchObject({
			available: 6 * PRICE,
			held: PRICE,
		});
	});
});

it("the first version's tables are what they were when it shipped", async () => {
	const text = await runInDurableObject(
		accountStub("version one"),
		(_, { storage }) => {
			storage.transactionSync(() => migrate(storage.sql, STEPS.slice(0, 1)));
			return storage.sql
				.exec<{ sql: string }>(
					"SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '\\_cf%' ESCAPE '\\' ORDER BY name",
				)
				.toArray()
				.map(({ sql }) => sql.replace(/\s+/g, " "))
				.join("\n");
		},
	);
	const digest = await crypto.subtle.digest(
		"SHA-256",
		new TextEncoder().encode(text),
	);
	expect(new Uint8Array(digest).toHex()).toBe(
		"59507d22463f1f17f59001fc68a5d0076535c7d035eb95ae97e4f73e2300b400",
	);
});
