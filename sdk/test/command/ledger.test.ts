/** `minigpt4 ledger`, and the limits of `keys`. */
import { expect, it } from "vitest";
import { json, serve, type TestServer } from "../server.ts";
import { minigpt4 as command } from "./minigpt4.ts";

const NOW = Date.parse("2026-11-30T12:00:00Z");
const minigpt4 = (server: TestServer, args: string[]) =>
	command(server, args, NOW);
const entry = (seq: number, part: object) => ({
	id: `led_a_${seq}`,
	object: "ledger_entry",
	seq,
	created_at: "2026-11-23T09:12:08.000Z",
	kind: "credit",
	job: null,
	credit: '=1+1,"x"',
	amount: 1_000_000,
	price: null,
	balance: { available: 1_000_000, held: 0 },
	...part,
});
const JOB = { job: "01JD8Z6Q3V9Y4K2M7N5P8R1S3T", credit: null };
const PAGES = [
	[
		entry(3, {
			...JOB,
			kind: "settle",
			amount: 900,
			price: 124,
			balance: { available: 999_876, held: 0 },
		}),
		entry(2, {
			...JOB,
			kind: "hold",
			amount: -1_024,
			balance: { available: 998_976, held: 1_024 },
		}),
	],
	[entry(1, {})],
];

/** Answers with the pages, one after the other. */
const api = () =>
	serve(({ path }, response) => {
		const isNext = path.includes("cursor=l2");
		json(response, 200, {
			data: PAGES[isNext ? 1 : 0],
			next_cursor: isNext ? null : "l2",
		});
	});

it("prints each movement, what it changed, and the balance after it", async () => {
	const server = await api();
	const { code, out } = await minigpt4(server, ["ledger"]);
	expect(code).toBe(0);
	const lines = out.trim().split("\n");
	expect(lines).toHaveLength(4);
	expect(lines[1]?.split(/ +/)).toEqual([
		"2026-11-23T09:12:08.000Z",
		"settle",
		"$0.0009",
		"$0.000124",
		"$0.999876",
		"$0.00",
		JOB.job,
	]);
	expect(lines[2]).toMatch(/ hold +-\$0.001024 /);
});

it("asks for a time and a kind, and stops at the limit", async () => {
	const server = await api();
	const args = "ledger --limit 1 --kind hold --since 1d --until 2026-11-30";
	const { out } = await minigpt4(server, [...args.split(" "), "--json"]);
	expect(JSON.parse(out)).toHaveLength(1);
	const { searchParams } = new URL(server.asked[0]?.path ?? "", server.url);
	expect(Object.fromEntries(searchParams)).toEqual({
		after: "2026-11-29T12:00:00.000Z",
		before: "2026-11-30T00:00:00.000Z",
		kind: "hold",
		limit: "1",
	});
});

it("prints all of it as CSV, and no formula", async () => {
	const { out } = await minigpt4(await api(), ["ledger", "--csv"]);
	expect(out).toBe(
		[
			"seq,created_at,kind,job,credit,amount,price,available,held",
			"3,2026-11-23T09:12:08.000Z,settle,01JD8Z6Q3V9Y4K2M7N5P8R1S3T,,900,124,999876,0",
			"2,2026-11-23T09:12:08.000Z,hold,01JD8Z6Q3V9Y4K2M7N5P8R1S3T,,-1024,,998976,1024",
			'1,2026-11-23T09:12:08.000Z,credit,,"\'=1+1,""x""",1000000,,1000000,0\n',
		].join("\n"),
	);
});

it("`keys` takes limits in USD, and `keys update` changes what it names alone", async () => {
	const server = await serve((_, response) =>
		json(response, 200, { id: "key_1", name: "k", key: "mg_live_x" }),
	);
	const bodies = () => server.asked.map(({ body }) => JSON.parse(String(body)));
	await minigpt4(server, [
		"keys",
		"create",
		"k",
		"--spend",
		"day=0.5,total=20",
	]);
	const changed = await minigpt4(server, [
		"keys",
		"update",
		"key_1",
		"--spend",
		"none",
	]);
	expect(changed).toMatchObject({ code: 0, out: "Changed key_1 (k).\n" });
	expect(server.asked[1]).toMatchObject({
		method: "PATCH",
		path: "/v1/keys/key_1",
	});
	expect(bodies()).toEqual([
		{ name: "k", spend_limits: { day: 500_000, total: 20_000_000 } },
		{ spend_limits: null },
	]);
	const nothing = await minigpt4(server, ["keys", "update", "key_1"]);
	expect(nothing).toMatchObject({ code: 2, out: "" });
});
