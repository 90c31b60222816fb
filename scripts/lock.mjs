// @ts-check
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** @param {number} pid */
function alive(pid) {
	try {
		process.kill(pid, 0);
		return true;
	} catch (error) {
		return /** @type {NodeJS.ErrnoException} */ (error).code === "EPERM";
	}
}

/**
 * Takes a lock file until `unlock` or our exit. A lock whose owner is gone is taken over.
 * @param {string} path
 * @returns {number | undefined} the process that holds it, if not us
 */
export function tryLock(path) {
	mkdirSync(dirname(path), { recursive: true });
	for (;;) {
		try {
			writeFileSync(path, `${process.pid}\n`, { flag: "wx" });
			process.on("exit", () => unlock(path));
			return undefined;
		} catch (error) {
			if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EEXIST")
				throw error;
			const owner = Number(readFileSync(path, "utf8"));
			if (owner > 0 && alive(owner)) return owner;
			rmSync(path, { force: true });
		}
	}
}

/** @param {string} path */
export function unlock(path) {
	try {
		if (Number(readFileSync(path, "utf8")) === process.pid) rmSync(path);
	} catch {} // it is gone
}
