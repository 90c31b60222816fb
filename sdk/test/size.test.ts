import { expect, test } from "vitest";
import { CORE, sizeOf } from "../scripts/size.mjs";

test("the client is under 8 KiB, minified and compressed", async () => {
	const { gzip, modules } = await sizeOf(CORE);
	expect(modules.length).toBeGreaterThan(5);
	expect(gzip).toBeLessThan(8 * 1024);
});

test("`webhooks` alone does not bundle the client", async () => {
	const { modules } = await sizeOf(
		'export { webhooks } from "./src/index.ts";',
	);
	expect(modules.map(([path]) => path).join()).not.toMatch(/client|transport/);
});
