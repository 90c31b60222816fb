/** A quote, and the job that it is for. */
import { describe, expect, it } from "vitest";
import { clientOf, json, problem, serve } from "./server.ts";

const photo = new Uint8Array([0xff, 0xd8, 0xff, 0xe0]);
const QUOTE = { quote: "q1.a.b", model: "nano", maximum: 305, expected: 107 };

/** A server that plays the API. */
const api = (refusals = 0) =>
	serve(({ method, path }, response, n) => {
		if (path === "/v1/uploads")
			return json(response, 201, { id: `img_${n}`, status: "ready" });
		if (path !== "/v1/quotes" || method !== "POST")
			return problem(response, 404, "not_found");
		if (n < refusals) return response.writeHead(500).end();
		json(response, 200, QUOTE);
	});

describe("a quote", () => {
	it("is of the job as it would be sent: images of this program are uploaded", async () => {
		const server = await api();
		const job = { prompt: "What is it?", max_tokens: 20 };
		const address = "https://example.com/a.jpg";
		const images = [photo, address, { upload: "img_1" }];
		expect(await clientOf(server).quotes.create({ ...job, images })).toEqual(
			QUOTE,
		);
		const [, asked] = server.asked;
		expect(JSON.parse(String(asked?.body))).toEqual({
			...job,
			images: [{ upload: "img_0" }, { url: address }, { upload: "img_1" }],
		});
	});

	it("is asked for again where the API fails: it changes nothing", async () => {
		const server = await api(2);
		const client = clientOf(server);
		expect(await client.quotes.create({ prompt: "?" })).toEqual(QUOTE);
		expect(server.asked).toHaveLength(3);
	});

	it("goes along with the job that it is for", async () => {
		const server = await serve((_, response) =>
			json(response, 202, { id: "J", status: "queued" }),
		);
		const { quote } = QUOTE;
		await clientOf(server).jobs.create({ prompt: "?", quote });
		expect(JSON.parse(String(server.asked[0]?.body))).toEqual({
			prompt: "?",
			quote,
		});
	});
});
