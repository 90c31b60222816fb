import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { STEPS as ACCOUNT } from "../../src/account/schema.ts";
import { versionOf } from "../../src/durable/migrate.ts";
import {
	ObjectStorage,
	type StorageOptions,
	unwrapOrRollBack,
} from "../../src/durable/storage.ts";
import { STEPS as ENDPOINT } from "../../src/endpoint/schema.ts";
import { failed } from "../../src/errors.ts";
import { STEPS as JOB } from "../../src/job/schema.ts";
import { STEPS as POOL } from "../../src/pool/schema.ts";
import { accountStub } from "../support/account.ts";

const STEPS: StorageOptions["steps"] = [
	(sql) => {
		sql.exec("CREATE TABLE thing (id TEXT UNIQUE)");
	},
];

let objects = 0;
/** An object's storage, in storage of its own. */
function withStorage(
	options: Partial<StorageOptions>,
	test: (world: {
		storage: ObjectStorage;
		things: () => string[];
		/** Reasons for which the object was reset. */
		resets: unknown[];
		again: () => ObjectStorage;
	}) => void,
): Promise<void> {
	objects++;
	const stub = accountStub(`storage ${objects}`);
	return runInDurableObject(stub, (_, { storage }) => {
		const resets: unknown[] = [];
		const ctx = { storage, abort: (why: unknown) => resets.push(why) };
		const open = () =>
			new ObjectStorage(ctx as unknown as DurableObjectState, {
				object: "test",
				steps: STEPS,
				resetOnFailure: true,
				...options,
			});
		test({
			storage: open(),
			things: () =>
				storage.sql
					.exec<{ id: string }>("SELECT id FROM thing")
					.toArray()
					.map(({ id }) => id),
			resets,
			again: open,
		});
	});
}

const add = ({ sql }: ObjectStorage, id: string) =>
	sql.exec("INSERT INTO thing VALUES (?)", id);

describe("an object's storage", () => {
	it("has no trace of an object that nobody made, and none of one that was cleared", () =>
		withStorage({}, ({ storage, things, again }) => {
			expect([storage.exists, versionOf(storage.sql)]).toEqual([false, 0]);
			storage.create(() => add(storage, "a"));
			expect([storage.exists, again().exists, things()]).toEqual([
				true,
				true,
				["a"],
			]);
			storage.clear();
			expect([storage.exists, again().exists]).toEqual([false, false]);
			storage.create(() => add(storage, "b"));
			expect(things()).toEqual(["b"]);
		}));

	it("takes back a write that fails and resets the object, whose memory is ahead", () => {
		const afterWrite = vi.fn();
		return withStorage({ afterWrite }, ({ storage, things, resets }) => {
			storage.create(() => add(storage, "a"));
			expect(afterWrite).toHaveBeenCalledTimes(1);
			const twice = () => {
				add(storage, "b");
				add(storage, "a");
			};
			expect(() => storage.write(twice)).toThrow("UNIQUE");
			expect([things(), resets]).toEqual([["a"], ["write failed"]]);
			expect(afterWrite).toHaveBeenCalledTimes(1);
		});
	});

	it("leaves an object be that decides from SQL alone", () =>
		withStorage({ resetOnFailure: false }, ({ storage, things, resets }) => {
			storage.create(() => add(storage, "a"));
			expect(() => storage.write(() => add(storage, "a"))).toThrow("UNIQUE");
			expect([things(), resets]).toEqual([["a"], []]);
		}));

	it("takes back a write that decides to fail, says why, and resets nothing", () =>
		withStorage({}, ({ storage, things, resets }) => {
			storage.create(() => add(storage, "a"));
			const refused = failed({ code: "job_gone" });
			const answer = storage.writeOrRollBack(() => {
				add(storage, "b");
				return unwrapOrRollBack(refused);
			});
			expect(answer).toEqual(refused);
			expect([things(), resets]).toEqual([["a"], []]);
			expect(
				storage.writeOrRollBack(() => ({ added: add(storage, "b") && 1 })),
			).toEqual({ ok: true, added: 1 });
		}));
});

it.each([
	["account", ACCOUNT],
	["job", JOB],
	["pool", POOL],
	["endpoint", ENDPOINT],
])("the tables of the %s are made once, in order", (_, steps) =>
	withStorage({ steps }, ({ storage, again }) => {
		storage.create(() => {});
		expect(versionOf(storage.sql)).toBe(steps.length);
		expect(again().exists).toBe(true);
		storage.clear();
		expect(
			storage.sql
				.exec(
					"SELECT name FROM sqlite_master WHERE name NOT GLOB '_cf_*' AND name NOT GLOB 'sqlite_*'",
				)
				.toArray(),
		).toEqual([]);
	}),
);
