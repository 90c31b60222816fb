import { describe, expect, it } from "vitest";
import vectors from "../fixtures/worker-protocol/generate.json";
import { FakeWorker } from "../support/fake-worker.ts";

const post = (worker: FakeWorker, body: string, authorization: string | null) =>
	worker.fetch(
		new Request("http://worker.test/v1/generate", {
			method: "POST",
			body,
			headers: authorization ? { Authorization: authorization } : {},
		}),
	);

interface Vector {
	name: string;
	authorization?: string | null;
	raw?: string;
	body?: object;
	status: number;
	code: string;
	field?: string;
}

describe("the fake worker keeps to the shared vectors", () => {
	it.each(vectors.errors as Vector[])("$name", async (vector) => {
		const { authorization = "Bearer worker-key" } = vector;
		const response = await post(
			new FakeWorker({ tokens: ["x"] }),
			vector.raw ?? JSON.stringify(vector.body),
			authorization,
		);
		const { code, field } = await response.json<Vector>();
		expect([response.status, code]).toEqual([vector.status, vector.code]);
		if (vector.field) expect(field).toBe(vector.field);
	});

	it("streams the events of the vector, field by field", async () => {
		const worker = new FakeWorker({ tokens: ["The", " caf", "é 😀"] });
		const response = await post(
			worker,
			JSON.stringify({
				model: "nano",
				messages: [{ role: "user", content: "hi" }],
				images: [],
				max_tokens: 9,
			}),
			"Bearer worker-key",
		);
		const shape = (text: string) =>
			text
				.split("\n\n")
				.filter((frame) => frame.startsWith("event"))
				.map((frame) => {
					const [event, data = ""] = frame.split("\ndata: ");
					return [event, Object.keys(JSON.parse(data))];
				});
		expect(shape(await response.text())).toEqual(
			shape(vectors.stream.join("")),
		);
	});

	it("goes on from committed ids as if it had never stopped", async () => {
		const worker = new FakeWorker({ tokens: ["a", "b", "c"] });
		const ask = async (more: object) => {
			const body = { model: "nano", images: [], max_tokens: 3, ...more };
			const answered = await post(
				worker,
				JSON.stringify(body),
				"Bearer worker-key",
			);
			return [...(await answered.text()).matchAll(/"text":"(.)"/g)]
				.map(([, text]) => text)
				.join("");
		};
		const messages = [{ role: "user", content: "hi" }];
		expect(await ask({ messages })).toBe("abc");
		const prompt_token_ids = [1104, 1105];
		for (const cut of [0, 1, 2, 3])
			expect(
				await ask({
					prompt_token_ids,
					committed_token_ids: [2000, 2001, 2002].slice(0, cut),
				}),
			).toBe("abc".slice(cut));
	});
});
