/// <reference types="vite/types/importMeta.d.ts" />
import { describe, expect, it } from "vitest";
import { BACKEND_FAILURES, BackendError } from "../../src/backends/backend.ts";

const protocol = Object.values(
	import.meta.glob<string>("../../docs/worker-protocol.md", {
		query: "?raw",
		import: "default",
		eager: true,
	}),
)[0] as string;

/** The codes of the protocol's table of errors: `| code | status | …`. */
const codes = Array.from(
	protocol.matchAll(/^\| `(\w+)` \| \d{3} \|/gm),
	([, code]) => code as string,
);

describe("the failures of a backend", () => {
	it("have each code that the worker protocol has for a request to generate", () => {
		expect(codes).toContain("engine_failed");
		for (const code of codes)
			expect(BACKEND_FAILURES.has(code)).toBe(code !== "not_found");
	});

	it("say whether another attempt may help, and whether the worker is gone", () => {
		const traits = (code: string) => {
			const { retry, down } = new BackendError(code, "");
			return { retry, down };
		};
		expect(traits("image_undecodable")).toEqual({ retry: false, down: false });
		expect(traits("overloaded")).toEqual({ retry: true, down: false });
		expect(traits("draining")).toEqual({ retry: true, down: true });
	});

	it("retry what has no code of theirs", () => {
		for (const code of ["quota", "constructor"])
			expect(new BackendError(code, "")).toMatchObject({
				retry: true,
				down: false,
			});
	});
});
