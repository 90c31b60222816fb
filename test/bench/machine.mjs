// @ts-check
/** Where a figure was taken, and what a process took for it. Linux only, as far as processes go. */
import { readdirSync, readFileSync, statfsSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";

const TICKS_PER_SECOND = 100; // USER_HZ, the same on every Linux that Node runs on

export const machine = () =>
	`${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB`;

export const loadNow = () => Number((loadavg()[0] ?? 0).toFixed(1));

/** What linux/magic.h calls some file systems. */
const FILE_SYSTEMS = new Map([
	[0xef53, "ext4"],
	[0x01021994, "tmpfs"],
	[0x58465342, "xfs"],
	[0x9123683e, "btrfs"],
	[0x794c7630, "overlayfs"],
]);

/** The file system that holds a folder. @param {string} folder */
export function fileSystemOf(folder) {
	const { type } = statfsSync(folder);
	return FILE_SYSTEMS.get(type) ?? `file system 0x${type.toString(16)}`;
}

/**
 * `workerd` runs the product, `node` started it and passes its log on.
 * @typedef {{ pid: number, role: "workerd" | "node" }} Process
 */

/**
 * The processes of an edge.
 * @param {number} group the edge's process group
 * @returns {Process[]}
 */
export function edgeProcesses(group) {
	/** @type {Process[]} */
	const found = [];
	for (const name of readdirSync("/proc")) {
		if (!/^\d+$/.test(name)) continue;
		try {
			if (Number(statOf(name)[2]) !== group) continue;
			const command = readFileSync(`/proc/${name}/cmdline`, "utf8");
			const role = /workerd\0serve\0/.test(command) ? "workerd" : "node";
			found.push({ pid: Number(name), role });
		} catch {} // it ended meanwhile
	}
	return found;
}

/** Seconds of processor time so far, user and system. @param {number} pid */
export const cpuSeconds = (pid) => {
	const { user, system } = cpuTimes(pid);
	return user + system;
};

/** @param {number} pid @returns {{ user: number, system: number }} seconds so far */
export function cpuTimes(pid) {
	const stat = statOf(String(pid));
	return {
		user: Number(stat[11]) / TICKS_PER_SECOND,
		system: Number(stat[12]) / TICKS_PER_SECOND,
	};
}

/**
 * Seconds for which its threads were ready to run and others had the cores; NaN where the kernel
 * does not say.
 * @param {number} pid
 */
export function waitedSeconds(pid) {
	let waited = 0;
	for (const thread of readdirSync(`/proc/${pid}/task`)) {
		try {
			const stat = readFileSync(
				`/proc/${pid}/task/${thread}/schedstat`,
				"utf8",
			);
			waited += Number(stat.split(" ")[1]) / 1e9;
		} catch {
			return Number.NaN;
		}
	}
	return waited;
}

/** Resident memory in MiB, now and at most so far. @param {number} pid */
export function memory(pid) {
	const status = readFileSync(`/proc/${pid}/status`, "utf8");
	const mib = (/** @type {string} */ name) =>
		Math.round(
			Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) /
				1024,
		);
	return { now: mib("VmRSS"), peak: mib("VmHWM") };
}

/**
 * Memory in MiB, with what processes share divided among them, so that a sum over processes counts
 * it once.
 * @param {number} pid
 */
export function proportionalMemory(pid) {
	const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
	return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1]) / 1024;
}

/** What follows a process's name, from its state on. @param {string} pid */
function statOf(pid) {
	const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
	return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}
