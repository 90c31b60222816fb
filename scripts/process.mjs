// @ts-check
/** Child processes in groups of their own, so that stopping one stops all that it started. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
	closeSync,
	existsSync,
	mkdirSync,
	openSync,
	readFileSync,
	renameSync,
	writeSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { root } from "./paths.mjs";

/** @typedef {{ code: number | null, signal: NodeJS.Signals | null }} Exit */
/**
 * @typedef {object} Options
 * @property {string} [cwd]
 * @property {Record<string, string | undefined>} [env] on top of ours; undefined takes one away
 * @property {string} log file to which stdout and stderr are appended
 * @property {(line: string) => void} [onLine] sees each line of output as well
 */

/** A command that failed: its message ends with the log's last lines and where the rest is. */
export class CommandFailed extends Error {
	/** @param {string} what @param {string} log */
	constructor(what, log) {
		super(
			`${what}\n${tail(log)}\nThe whole log: ${relative(process.cwd(), log) || log}`,
		);
		this.name = "CommandFailed";
	}
}

/** Keeps the last run's log as `.old`. @param {string} log */
export function rotate(log) {
	if (existsSync(log)) renameSync(log, `${log}.old`);
}

/** @param {string} log @param {number} [lines] */
export function tail(log, lines = 20) {
	if (!existsSync(log)) return "";
	const text = readFileSync(log, "utf8").trimEnd().split("\n").slice(-lines);
	return text.map((line) => `    ${line}`).join("\n");
}

/** @type {import("node:child_process").ChildProcess | undefined} */
let guardian;
/** @param {string} line */
function tellGuardian(line) {
	if (!guardian) {
		const script = join(
			dirname(fileURLToPath(import.meta.url)),
			"guardian.mjs",
		);
		guardian = spawn(process.execPath, [script], {
			detached: true,
			stdio: ["pipe", "ignore", "ignore"],
			cwd: root,
		});
		guardian.unref();
		// A guardian that was killed watches nothing; the rest goes on.
		guardian.stdin?.on("error", () => {});
		/** @type {import("node:net").Socket} */ (
			/** @type {unknown} */ (guardian.stdin)
		).unref();
	}
	guardian.stdin?.write(`${line}\n`);
}

/**
 * @param {number} group @param {NodeJS.Signals | 0} signal
 * @returns {boolean} whether anyone was there
 */
function signalGroup(group, signal) {
	try {
		return process.kill(-group, signal);
	} catch {
		return false;
	}
}

/** @param {number} group @param {number} ms */
async function groupGone(group, ms) {
	for (const until = Date.now() + ms; Date.now() < until; await sleep(50)) {
		if (!signalGroup(group, 0)) return true;
	}
	return !signalGroup(group, 0);
}

/** Every process that we started and that lives. @type {Set<Daemon>} */
const daemons = new Set();

/** Stops all of them, side by side. @param {{ grace?: number }} [options] */
export const stopAll = (options) =>
	Promise.all([...daemons].map((daemon) => daemon.stop(options)));
export const killAll = () =>
	Promise.all([...daemons].map((daemon) => daemon.kill()));
export const anyRunning = () => daemons.size > 0;

export class Daemon {
	/** @param {import("node:child_process").ChildProcess} child @param {string} log */
	constructor(child, log) {
		this.pid = /** @type {number} */ (child.pid);
		this.log = log;
		/** Set once the process itself is gone. @type {Exit | undefined} */
		this.exit = undefined;
		/**
		 * Resolves when the process is gone, and so is what it left behind in its group.
		 * @type {Promise<Exit>}
		 */
		this.exited = once(child, "exit").then(async ([code, signal]) => {
			this.exit = { code, signal };
			if (
				signalGroup(this.pid, "SIGTERM") &&
				!(await groupGone(this.pid, 2000))
			) {
				signalGroup(this.pid, "SIGKILL");
				await groupGone(this.pid, 1000);
			}
			tellGuardian(`-${this.pid}`);
			daemons.delete(this);
			return this.exit;
		});
	}

	/**
	 * Asks the process to end, and after `grace` ms ends its whole group.
	 * @param {{ grace?: number, signal?: NodeJS.Signals }} [options]
	 */
	async stop({ grace = 8000, signal = "SIGTERM" } = {}) {
		if (!this.exit) {
			try {
				process.kill(this.pid, signal);
			} catch {}
			const late = setTimeout(() => signalGroup(this.pid, "SIGKILL"), grace);
			await this.exited;
			clearTimeout(late);
		}
		return this.exited;
	}

	/** As a crash would: no warning, the whole group at once. */
	async kill() {
		signalGroup(this.pid, "SIGKILL");
		return this.exited;
	}
}

/**
 * Starts a process that ends with us.
 * @param {string} command @param {string[]} args @param {Options} options
 * @returns {Promise<Daemon>}
 */
export async function launch(
	command,
	args,
	{ cwd = root, env = {}, log, onLine },
) {
	mkdirSync(dirname(log), { recursive: true });
	const fd = openSync(log, "a", 0o600);
	const child = spawn(command, args, {
		cwd,
		env: { ...process.env, ...env },
		detached: true,
		stdio: onLine ? ["ignore", "pipe", "pipe"] : ["ignore", fd, fd],
	});
	for (const stream of onLine ? [child.stdout, child.stderr] : []) {
		let rest = "";
		stream?.setEncoding("utf8");
		stream?.on("data", (/** @type {string} */ text) => {
			writeSync(fd, text);
			const lines = (rest + text).split(/\r?\n/);
			rest = lines.pop() ?? "";
			lines.forEach((line) => void onLine?.(line));
		});
		stream?.on("end", () => rest && onLine?.(rest));
	}
	if (onLine) child.on("close", () => closeSync(fd));
	else closeSync(fd);
	await once(child, "spawn"); // or throws, with ENOENT
	const daemon = new Daemon(child, log);
	tellGuardian(`+${daemon.pid}`);
	daemons.add(daemon);
	return daemon;
}

/**
 * Runs a command to its end. An abort ends it, and everything that it started.
 * @param {string} command @param {string[]} args
 * @param {Options & { signal?: AbortSignal | undefined, what?: string }} options
 */
export async function run(
	command,
	args,
	{ signal, what = command, ...options },
) {
	signal?.throwIfAborted();
	const daemon = await launch(command, args, options);
	const onAbort = () => void daemon.stop({ grace: 3000 });
	signal?.addEventListener("abort", onAbort);
	const exit = await daemon.exited;
	signal?.removeEventListener("abort", onAbort);
	signal?.throwIfAborted();
	if (exit.code !== 0) {
		throw new CommandFailed(
			`${what} failed (${exit.signal ?? `exit ${exit.code}`}).`,
			options.log,
		);
	}
}
