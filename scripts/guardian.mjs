// @ts-check
/**
 * Outlives the process that started it by a few seconds. It reads `+<group>` and `-<group>` lines;
 * when the pipe closes, because the parent is gone, it ends every process group still listed.
 */

import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const GRACE_MS = 8000;
/** @type {Set<number>} */
const groups = new Set();

for await (const line of createInterface({ input: process.stdin })) {
	const group = Number(line.slice(1));
	if (line.startsWith("+")) groups.add(group);
	else groups.delete(group);
}

/** @param {NodeJS.Signals} signal */
const signalAll = (signal) => {
	for (const group of groups) {
		try {
			process.kill(-group, signal);
		} catch {
			groups.delete(group);
		}
	}
};
for (let waited = 0; groups.size > 0 && waited < GRACE_MS; waited += 200) {
	signalAll("SIGTERM");
	await sleep(200);
}
signalAll("SIGKILL");
