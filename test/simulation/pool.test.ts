import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import type { Pool } from "../../src/pool/pool.ts";
import { bindings } from "../support/account.ts";
import { reportOf } from "./report.ts";
import { play, SCENE } from "./world.ts";

it.each([1, 2, 3])(
	"seed %d",
	async (seed) => {
		const stub = bindings.POOL.get(bindings.POOL.idFromName(`day-${seed}`));
		const from = Date.now();
		const story = await runInDurableObject(stub, (pool: Pool, { storage }) => {
			const url = SCENE.workers.slice();
			const WORKERS = { nano: { url } };
			Object.defineProperty(pool, "env", { value: { ...bindings, WORKERS } });
			return play(pool, storage, { ...SCENE, seed, jobs: 4000 });
		});
		console.log(Date.now() - from, JSON.stringify(reportOf(story), null, 1));
		expect(story.wrongs).toEqual([]);
	},
	300_000,
);
