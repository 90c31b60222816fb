import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { STEPS as ACCOUNT_STEPS } from "../../src/account/schema.ts";
import { migrate, type Step, versionOf } from "../../src/durable/migrate.ts";
import { STEPS } from "../../src/endpoint/schema.ts";
import { unwrap } from "../../src/errors.ts";
import {
	accountStub,
	admissionOf,
	dump,
	newAccount,
} from "../support/account.ts";
import { eventually } from "../support/eventually.ts";
import { api, Receiver } from "../support/receivers.ts";

const digestOf = (name: string, steps: readonly Step[]) =>
	runInDurableObject(accountStub(name), async (_, { storage }) => {
		storage.transactionSync(() => migrate(storage.sql, steps));
		const text = storage.sql
			.exec<{ sql: string }>(
				"SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '\\_cf%' ESCAPE '\\' ORDER BY name",
			)
			.toArray()
			.map(({ sql }) => sql.replace(/\s+/g, " "))
			.join("\n");
		const digest = await crypto.subtle.digest(
			"SHA-256",
			new TextEncoder().encode(text),
		);
		return new Uint8Array(digest).toHex();
	});

it("an endpoint's first tables are what they were when they shipped", async () => {
	expect(await digestOf("endpoint one", STEPS.slice(0, 1))).toBe(
		"d639badc42c2dcc362002d12bdb6030bb5d2af55c8c0b70b3856e54b93fa4b95",
	);
});

it("an account of the version before the feed starts one with its next event, whatever it had before", async () => {
	const account = await newAccount(10_000);
	const old = admissionOf(account);
	unwrap(await account.stub.admit(old));
	// Back to the version before: its jobs had no webhook, and there was no feed, nor what came after it.
	await runInDurableObject(account.stub, (_, { storage: { sql } }) => {
		for (const index of ["job_of_key", "upload_listed", "upload_of_key"])
			sql.exec(`DROP INDEX ${index}`);
		for (const column of ["call", "made_by", "repeats"])
			sql.exec(`ALTER TABLE job DROP COLUMN ${column}`);
		for (const column of ["made_by", "inline"])
			sql.exec(`ALTER TABLE upload DROP COLUMN ${column}`);
		for (const table of ["event", "webhook", "webhook_secret"])
			sql.exec(`DROP TABLE ${table}`);
		sql.exec("ALTER TABLE job DROP COLUMN webhook");
		const before = ACCOUNT_STEPS.findIndex((step) =>
			String(step).includes("createEventTable"),
		);
		sql.exec("UPDATE version SET version = ?", before);
		migrate(sql, ACCOUNT_STEPS);
		expect(versionOf(sql)).toBe(ACCOUNT_STEPS.length);
	});
	const receiver = new Receiver("old.example.org");
	await api(account, "POST", "/webhooks", { url: receiver.url });
	await account.stub.settle({
		...{ jobId: old.jobId, status: "succeeded" },
		...{ outputTokens: 1, maxTokens: 1 },
	});
	await eventually(() => expect(receiver.accepted).toHaveLength(1));
	expect((await dump(account.stub)).event).toMatchObject([
		{ seq: 1, type: "job.succeeded", webhook: null },
	]);
});
