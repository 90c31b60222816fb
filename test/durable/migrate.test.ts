import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { migrate, type Step, versionOf } from "../../src/durable/migrate.ts";
import { accountStub } from "../support/account.ts";

const first: Step = (sql) => {
	sql.exec("CREATE TABLE thing (id TEXT)");
	sql.exec("INSERT INTO thing VALUES ('kept')");
};
const second: Step = (sql) => {
	sql.exec("ALTER TABLE thing ADD COLUMN colour TEXT DEFAULT 'red'");
};

describe("migration", () => {
	it("brings storage of the previous version to the next, rows and all, once", () =>
		runInDurableObject(accountStub("migration"), (_, { storage }) => {
			storage.transactionSync(() => migrate(storage.sql, [first]));
			expect(versionOf(storage.sql)).toBe(1);
			for (let times = 0; times < 2; times++)
				storage.transactionSync(() => migrate(storage.sql, [first, second]));
			expect(versionOf(storage.sql)).toBe(2);
			expect(storage.sql.exec("SELECT * FROM thing").toArray()).toEqual([
				{ id: "kept", colour: "red" },
			]);
		}));

	it("that breaks halfway leaves the previous version as it was", () =>
		runInDurableObject(accountStub("broken"), (_, { storage }) => {
			storage.transactionSync(() => migrate(storage.sql, [first]));
			const broken: Step = (sql) => {
				second(sql);
				throw new Error("halfway");
			};
			expect(() =>
				storage.transactionSync(() => migrate(storage.sql, [first, broken])),
			).toThrow("halfway");
			expect(versionOf(storage.sql)).toBe(1);
			expect(storage.sql.exec("SELECT * FROM thing").toArray()).toEqual([
				{ id: "kept" },
			]);
		}));
});
