import fc from "fast-check";
import { expect, it } from "vitest";
import { open, seal } from "../../src/session/seal.ts";

const OLD = "secret-secret-secret-secret-0001";
const NEW = "another-another-another-another-";
const NOW = 1_796_000_000_000;

it("what is sealed opens until its time, with any secret that the deployment keeps", async () => {
	await fc.assert(
		fc.asyncProperty(
			fc
				.dictionary(fc.string(), fc.string())
				.filter((it) => !("iat" in it || "exp" in it || "nbf" in it)),
			async (content) => {
				const sealed = await seal(OLD, "session", content, 60, NOW);
				const opened = await open([NEW, OLD], "session", sealed, NOW + 59_000);
				expect(opened).toMatchObject({ ...content, iat: NOW / 1000 });
				expect(await open([OLD], "session", sealed, NOW + 60_000)).toBeNull();
				expect(await open([NEW], "session", sealed, NOW)).toBeNull();
			},
		),
		{ numRuns: 25 },
	);
});

it("a cookie for one purpose does not open as another", async () => {
	const sealed = await seal(OLD, "sign-in", { token: "a" }, 60, NOW);
	expect(await open([OLD], "session", sealed, NOW)).toBeNull();
});
