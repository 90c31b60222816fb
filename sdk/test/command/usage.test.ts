/** `minigpt4 usage` and `topup`. */
import { expect, it } from "vitest";
import { json, serve, type TestServer } from "../server.ts";
import { minigpt4 as command } from "./minigpt4.ts";

const NOW = Date.parse("2026-11-30T12:00:00Z");
const minigpt4 = (server: TestServer, args: string[]) =>
	command(server, args, NOW);
const row = (part: object) => ({
	day: null,
	key: null,
	model: null,
	task: null,
	jobs: 1,
	prompt_tokens: 94,
	output_tokens: 11,
	images: 1,
	price: 107,
	...part,
});

const api = (data: object[]) =>
	serve((_, response) => json(response, 200, { data, next_cursor: null }));
const queryOf = ({ asked, url }: TestServer) =>
	Object.fromEntries(new URL(asked[0]?.path ?? "", url).searchParams);

it("prints a line and a bar for each day", async () => {
	const server = await api([
		row({ day: "2026-11-29", price: 50 }),
		row({ day: "2026-11-30", price: 100, jobs: 2 }),
	]);
	const { code, out } = await minigpt4(server, ["usage"]);
	expect(code).toBe(0);
	expect(queryOf(server)).toEqual({ by: "day" });
	expect(out.split("\n").map((line) => line.split(/ +/))).toEqual([
		["DAY", "JOBS", "PROMPT", "OUTPUT", "IMAGES", "PRICE"],
		["2026-11-29", "1", "94", "11", "1", "$0.00005", "█".repeat(12)],
		["2026-11-30", "2", "94", "11", "1", "$0.0001", "█".repeat(24)],
		[""],
	]);
});

it("sums by what it is asked for, in the days that it is asked for", async () => {
	const rows = [row({ model: "nano", task: "" })];
	const server = await api(rows);
	const args = "usage --by task,model --since 7d --until 2026-11-29 --json";
	const { out } = await minigpt4(server, args.split(" "));
	expect(JSON.parse(out)).toEqual(rows);
	expect(queryOf(server)).toEqual({
		by: "model,task",
		from: "2026-11-23",
		to: "2026-11-29",
	});
});

it("says so where nothing was used, and what it cannot sum by", async () => {
	const nothing = await minigpt4(await api([]), ["usage"]);
	expect(nothing).toMatchObject({ code: 0, out: "" });
	expect(nothing.err).toContain("Nothing was used");
	const wrong = await minigpt4(await api([]), ["usage", "--by", "colour"]);
	expect(wrong).toMatchObject({ code: 2, out: "" });
	expect(wrong.err).toContain(
		'day, key, model, task, with commas between them, not "colour"',
	);
});

it("`topup` prints the address of a page that takes just this much", async () => {
	const url = "https://checkout.example/c/1";
	const server = await serve((_, response) =>
		json(response, 201, { id: "cs_1", url }),
	);
	const { code, out } = await minigpt4(server, ["topup", "12.5"]);
	expect([code, out]).toEqual([0, `${url}\n`]);
	expect(server.asked[0]).toMatchObject({
		method: "POST",
		path: "/v1/billing/top-ups",
	});
	expect(JSON.parse(String(server.asked[0]?.body))).toEqual({
		amount: 12_500_000,
	});
	for (const wrong of [[], ["ten"], ["-1"], ["1.234"], ["1", "2"]])
		expect(await minigpt4(server, ["topup", ...wrong])).toMatchObject({
			code: 2,
			out: "",
		});
	expect(server.asked).toHaveLength(1);
});
