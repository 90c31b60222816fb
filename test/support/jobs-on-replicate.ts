/** Jobs on the real objects, of the model that test/vitest.config.ts has on Replicate. */
import { evictDurableObject } from "cloudflare:test";
import { afterEach } from "vitest";
import { bindings } from "./account.ts";
import { FakeReplicate, type Script } from "./fake-replicate.ts";
import { startedJob, type TestJob } from "./jobs.ts";

const elsewhere = globalThis.fetch;
let fake = new FakeReplicate({ tokens: [] });
globalThis.fetch = async (input, init) => {
	const request = new Request(input as RequestInfo, init as RequestInit);
	return new URL(request.url).hostname.endsWith("replicate.test")
		? fake.fetch(request)
		: elsewhere(request);
};

/** Replicate in this test. */
export function replicate(
	script: Script | ((n: number) => Script),
): FakeReplicate {
	fake = new FakeReplicate(script);
	return fake;
}

export const pool = () =>
	bindings.POOL.get(bindings.POOL.idFromName("llama2-7b"));

export const startedThere = (
	part: Parameters<typeof startedJob>[0] = {},
): Promise<TestJob> => startedJob({ model: "llama2-7b", ...part });

// What the pool knows of this test's Replicate must not outlive it.
afterEach(() => evictDurableObject(pool()).catch(() => {}));
