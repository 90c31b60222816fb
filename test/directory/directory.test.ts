import { runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Directory } from "../../src/directory/directory.ts";
import { bindings } from "../support/account.ts";

let made = 0;
const newDirectory = () => bindings.DIRECTORY.getByName(`test ${made++}`);
const person = (subject: string, issuer = "https://id.test") => ({
	issuer,
	subject,
});
const fresh = (id: string, name = id) => ({ id, name, welcome: 5 });

describe("the account of a person", () => {
	it("is the one of the first sign-in, whatever later ones offer", async () => {
		const directory = newDirectory();
		const first = await directory.accountOf(person("ada"), fresh("a", "Ada"));
		expect(first).toMatchObject({ id: "a", name: "Ada", welcome: 5 });
		const again = { id: "b", name: "Other", welcome: 9 };
		expect(await directory.accountOf(person("ada"), again)).toEqual(first);
	});

	it("is another's for the same subject at another issuer", async () => {
		const directory = newDirectory();
		await directory.accountOf(person("1"), fresh("a"));
		const other = await directory.accountOf(
			person("1", "https://other.test"),
			fresh("b"),
		);
		expect(other.id).toBe("b");
	});

	it("is one, however many sign-ins come at once, in any order", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(fc.nat(3), { minLength: 1, maxLength: 12 }),
				async (subjects) => {
					const directory = newDirectory();
					const ids = await Promise.all(
						subjects.map(async (subject, n) => {
							const entry = await directory.accountOf(
								person(String(subject)),
								fresh(`account ${n}`),
							);
							return [subject, entry.id] as const;
						}),
					);
					const accounts = Map.groupBy(ids, ([subject]) => subject);
					for (const [, of] of accounts)
						expect(new Set(of.map(([, id]) => id)).size).toBe(1);
					expect(new Set(ids.map(([, id]) => id)).size).toBe(accounts.size);
				},
			),
			{ numRuns: 20 },
		);
	});
});

describe("an account that is forgotten", () => {
	it("is nobody's, and who comes again has another one, without a welcome", async () => {
		const directory = newDirectory();
		await directory.accountOf(person("ada"), fresh("a", "Ada"));
		await directory.forget("a");
		await directory.forget("a");
		const { entries } = await directory.search({
			text: "",
			cursor: null,
			limit: 10,
		});
		expect(entries).toMatchObject([{ id: "a", name: "", person: null }]);
		expect(
			await directory.accountOf(person("ada"), fresh("b", "Ada")),
		).toMatchObject({ id: "b", welcome: 0 });
		expect(await directory.accountOf(person("ada"), fresh("c"))).toMatchObject({
			id: "b",
		});
		expect(await directory.accountOf(person("eve"), fresh("d"))).toMatchObject({
			welcome: 5,
		});
		const text = await runInDurableObject(directory, (_, { storage }) =>
			JSON.stringify(storage.sql.exec("SELECT * FROM person_left").toArray()),
		);
		expect(text).not.toContain("ada");
	});
});

describe("operators' search", () => {
	it("finds by a part of the name, and by the start of id or subject", async () => {
		const directory = newDirectory();
		await directory.register({ id: "0a", name: "Acme Corp" });
		await directory.register({ id: "0b", name: "100% % _" });
		await directory.accountOf(person("ada"), fresh("0c", "Ada"));
		const found = async (text: string) => {
			const query = { text, cursor: null, limit: 10 };
			return (await directory.search(query)).entries.map(({ id }) => id);
		};
		expect(await found("")).toEqual(["0c", "0b", "0a"]);
		expect(await found("acme")).toEqual(["0a"]);
		expect(await found("%")).toEqual(["0b"]);
		expect(await found("_")).toEqual(["0b"]);
		expect(await found("0c")).toEqual(["0c"]);
		expect(await found("ad")).toEqual(["0c"]);
		expect(await found("nobody")).toEqual([]);
	});

	it("shows every account once, page by page, while others are added", async () => {
		const directory = newDirectory();
		const ids = Array.from({ length: 7 }, (_, n) => `account ${n}`);
		for (const id of ids) await directory.register({ id, name: id });
		const seen: string[] = [];
		let cursor: string | null = null;
		do {
			const page = await directory.search({ text: "", cursor, limit: 3 });
			seen.push(...page.entries.map(({ id }) => id));
			cursor = page.nextCursor;
			await directory.register({ id: `late ${cursor}`, name: "late" });
		} while (cursor !== null);
		expect(seen).toEqual(ids.reverse());
	});

	it("lists an account once, however often it is registered", async () => {
		const directory = newDirectory();
		for (let n = 0; n < 3; n++)
			await directory.register({ id: "a", name: `name ${n}` });
		const { entries } = await directory.search({
			text: "",
			cursor: null,
			limit: 9,
		});
		expect(entries.map(({ name }) => name)).toEqual(["name 0"]);
	});
});

describe("a link that signs in", () => {
	it("does so once, until its time is over, for a listed account", async () => {
		const directory = newDirectory();
		const at = (now: number) =>
			runInDurableObject(directory, (object: Directory) => {
				object.clock = () => now;
			});
		await directory.register({ id: "a", name: "a" });
		await at(1_000);
		expect(await directory.addLink("nobody", "0", 2_000)).toEqual({
			ok: false,
			failure: { code: "account_not_found" },
		});
		for (const hash of ["1", "2"])
			expect(await directory.addLink("a", hash, 2_000)).toEqual({ ok: true });
		const used = { ok: false, failure: { code: "sign_in_link_used" } };
		await at(1_999);
		expect(await directory.useLink("1")).toEqual({ ok: true, account: "a" });
		expect(await directory.useLink("1")).toEqual(used);
		await at(2_000);
		expect(await directory.useLink("2")).toEqual(used);
	});
});
