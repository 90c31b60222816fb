import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { findJob } from "../../src/account/jobs.ts";
import {
	addCredit,
	balances,
	recordEntries,
} from "../../src/account/ledger-rows.ts";
import { STEPS } from "../../src/account/schema.ts";
import { migrate } from "../../src/durable/migrate.ts";
import { accountStub } from "../support/account.ts";

it("an account of fixed prices keeps its jobs and its books, and goes on by token", () =>
	runInDurableObject(accountStub("of fixed prices"), (_, { storage }) => {
		const { sql } = storage;
		storage.transactionSync(() => migrate(sql, STEPS.slice(0, 1)));
		sql.exec(
			`INSERT INTO job (id, body_hash, model, images, hold, created_at, expires_in, due_at)
				VALUES ('old', 'a', 'nano', '[]', 1000, 1, 3600, 2)`,
		);
		sql.exec(
			`INSERT INTO entry (at, kind, ref, source, target, amount, funding, available, held, revenue)
				VALUES (1, 'credit', 'c', 'funding', 'available', 5000, -5000, 5000, 0, 0),
					(1, 'hold', 'old', 'available', 'held', 1000, -5000, 4000, 1000, 0)`,
		);
		storage.transactionSync(() => migrate(sql, STEPS));
		expect(findJob(sql, "old")).toMatchObject({
			prices: null,
			hold: { amount: 1000, closed: null },
		});
		recordEntries(
			sql,
			[
				{
					kind: "settle",
					ref: "old",
					source: "held",
					target: "revenue",
					amount: 24,
					released: 976,
				},
			],
			2,
		);
		expect(balances(sql)).toEqual({
			funding: -5000,
			available: 4976,
			held: 0,
			revenue: 24,
		});
		// What was credited before is known by its id.
		expect(addCredit(sql, { id: "c", amount: 5000 }, 3).ok).toBe(true);
		expect(addCredit(sql, { id: "c", amount: 1 }, 3).ok).toBe(false);
		expect(balances(sql).funding).toBe(-5000);
	}));
