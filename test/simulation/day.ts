/** Plays a day on a Pool object of its own. */
import { runInDurableObject } from "cloudflare:test";
import type { Pool } from "../../src/pool/pool.ts";
import { bindings } from "../support/account.ts";
import type { Scene, Story } from "./story.ts";
import { play, SCENE } from "./world.ts";

let days = 0;

export function day(scene: Partial<Scene>): Promise<Story> {
	days++;
	const stub = bindings.POOL.get(bindings.POOL.idFromName(`day-${days}`));
	return runInDurableObject(stub, (pool: Pool, { storage }) => {
		const whole = { ...SCENE, ...scene };
		Object.defineProperty(pool, "env", {
			value: { ...bindings, WORKERS: { nano: { url: [...whole.workers] } } },
		});
		return play(pool, storage, whole);
	});
}
