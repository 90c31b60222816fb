// @ts-check
/** A real browser for the page's tests. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { run } from "../process.mjs";

const NAMES = [
	"chromium",
	"chromium-browser",
	"google-chrome",
	"google-chrome-stable",
];

/** @returns {string | undefined} the browser that the tests drive; `CHROMIUM` names another one */
export function findChromium() {
	if (process.env.CHROMIUM) return process.env.CHROMIUM;
	const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/bin"];
	return folders
		.flatMap((folder) => NAMES.map((name) => join(folder, name)))
		.find((path) => existsSync(path));
}

/** @param {import("./step.mjs").Context} context */
export async function installChromium({ log, signal, onLine }) {
	const isRoot = process.getuid?.() === 0;
	const maySudo =
		!isRoot &&
		spawnSync("sudo", ["-n", "true"], { stdio: "ignore" }).status === 0;
	if (!isRoot && !maySudo) {
		throw new Error(
			"The page's tests need Chromium, and installing it needs root:\n" +
				"sudo apt-get install chromium\n" +
				"(or name a browser that is here: CHROMIUM=/path/to/chrome npm test)",
		);
	}
	/** @param {...string} args */
	const apt = (...args) => {
		const command = [
			"apt-get",
			"-q",
			"-y",
			"-o",
			"DPkg::Lock::Timeout=120",
			...args,
		];
		if (maySudo) command.unshift("sudo", "-n");
		const [first = "", ...rest] = command;
		return run(first, rest, {
			what: command.join(" "),
			log,
			signal,
			onLine,
			env: { DEBIAN_FRONTEND: "noninteractive" },
		});
	};
	await apt("update");
	await apt("install", "--no-install-recommends", "chromium");
}
