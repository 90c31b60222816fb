/** `minigpt4 quote`, and the options that cap an answer. */
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { json, serve, type TestServer } from "../server.ts";
import { minigpt4 } from "./minigpt4.ts";

const CAT = fileURLToPath(new URL("../../../samples/cat.jpg", import.meta.url));
const part = (item: string, quantity: number, amount: string) => ({
	item,
	quantity,
	rate: 1,
	per: 1,
	amount,
});
const QUOTE = {
	quote: "q1.a.b",
	model: "nano",
	maximum: 220,
	maximum_parts: [
		part("prompt_tokens", 1_219, "60.950000"),
		part("output_tokens", 300, "60.000000"),
		part("images", 1, "100.000000"),
	],
	expected: 103,
	expected_parts: [
		part("prompt_tokens", 23, "1.150000"),
		part("output_tokens", 8, "1.600000"),
		part("images", 1, "100.000000"),
	],
	counted_by: "tokenizer",
	price_version: "2026-12",
	expires_at: "2026-11-23T09:45:00.000Z",
};

const api = () =>
	serve(({ path }, response) =>
		path === "/v1/uploads"
			? json(response, 201, { id: "img_1", status: "ready" })
			: json(response, 200, QUOTE),
	);

const bodyOf = ({ asked }: TestServer) =>
	JSON.parse(String(asked.find(({ path }) => path === "/v1/quotes")?.body));

it("prints the most, what is expected, and the parts of both", async () => {
	const server = await api();
	const { code, out } = await minigpt4(server, ["quote", CAT, "What is it?"]);
	expect(code).toBe(0);
	expect(out).toMatch(/^at most +\$0\.00022\nexpected +\$0\.000103\n/);
	expect(out).toMatch(
		/^prompt tokens +1219 +\$0\.00006095 +23 +\$0\.00000115/m,
	);
	expect(out).toMatch(/^images +1 +\$0\.0001 +1 +\$0\.0001/m);
	expect(out).toMatch(/^quote +q1\.a\.b$/m);
	expect(bodyOf(server)).toEqual({
		prompt: "What is it?",
		images: [{ upload: "img_1" }],
	});
});

it("is about a description without a question, with the options of one", async () => {
	const server = await api();
	const options = ["--max-tokens", "60", "--max-price", "150", "--json"];
	const { out } = await minigpt4(server, ["quote", CAT, ...options]);
	expect(JSON.parse(out)).toEqual(QUOTE);
	expect(bodyOf(server)).toEqual({
		task: "describe",
		images: [{ upload: "img_1" }],
		max_tokens: 60,
		max_price: 150,
	});
});

it("goes on from a job as `ask` does", async () => {
	const server = await api();
	await minigpt4(server, ["quote", "--previous", "J", "Why?"]);
	expect(bodyOf(server)).toEqual({ prompt: "Why?", previous_job: "J" });
});

it("says what is missing", async () => {
	const server = await api();
	const { code, err } = await minigpt4(server, ["quote"]);
	expect([code, server.asked]).toEqual([2, []]);
	expect(err).toContain("Which image?");
});
