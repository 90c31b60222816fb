/** `minigpt4 export`. */
import { expect, it } from "vitest";
import { json, problem, serve } from "../server.ts";
import { minigpt4 } from "./minigpt4.ts";

const PAGES: Record<string, object[]> = {
	"/v1/keys": [{ object: "key", id: "key_1" }],
	"/v1/webhooks": [{ object: "webhook", id: "wh_1" }],
	"/v1/uploads": [{ object: "upload", id: "img_1" }],
	"/v1/jobs": [{ id: "J1" }, { id: "J2" }, { id: "J3" }],
	"/v1/ledger": [{ object: "ledger_entry", seq: 1 }],
};

it("prints each object of the account in a line, jobs with what they said", async () => {
	const server = await serve(({ path }, response) => {
		const { pathname, searchParams } = new URL(path, "http://api.test");
		const job = /^\/v1\/jobs\/(\w+)$/.exec(pathname)?.[1];
		// Deleted after it was listed.
		if (job === "J2") return problem(response, 410, "job_gone");
		if (job) return json(response, 200, { id: job, output: { text: "a cat" } });
		if (pathname === "/v1/account")
			return json(response, 200, { object: "account" });
		const all = PAGES[pathname] ?? [];
		const from = Number(searchParams.get("cursor") ?? 0);
		json(response, 200, {
			data: all.slice(from, from + 2),
			next_cursor: from + 2 < all.length ? String(from + 2) : null,
		});
	});
	const { code, out, err } = await minigpt4(server, ["export"]);
	expect(code).toBe(0);
	expect(
		out
			.trim()
			.split("\n")
			.map((line) => JSON.parse(line)),
	).toEqual([
		{ object: "account" },
		...(PAGES["/v1/keys"] ?? []),
		...(PAGES["/v1/webhooks"] ?? []),
		...(PAGES["/v1/uploads"] ?? []),
		{ id: "J1", output: { text: "a cat" } },
		{ id: "J3", output: { text: "a cat" } },
		...(PAGES["/v1/ledger"] ?? []),
	]);
	expect(err).toBe("7 objects.\n");
});
