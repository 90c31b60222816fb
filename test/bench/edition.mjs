// @ts-check
/**
 * The editions of the edge that one run of a bench compares: this tree, and with `--against` a
 * commit that is checked out beside it. Of the commit only the Worker runs: bundled from its
 * sources, by its wrangler.toml, with the packages of its lock. This tree's wrangler bundles both,
 * and both run in this tree's Miniflare, before this tree's scripted worker and callers, so that a
 * difference between the two comes from the Worker's code. It also lets commits take part that
 * start their edge in another way, or keep their benches elsewhere.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { root, state } from "../../scripts/paths.mjs";
import { run } from "../../scripts/process.mjs";

/** @typedef {{ name: string, root: string }} Edition `name`: what the figures call it */
/** @typedef {import("../../scripts/terminal.mjs").Board} Board */

/** @type {Edition} */
export const thisTree = { name: "this tree", root };

/** @param {...string} args @returns {string} @throws Error with what git says */
const git = (...args) =>
	execFileSync("git", args, {
		cwd: root,
		stdio: "pipe",
		encoding: "utf8",
	}).trim();

/**
 * The commit that this tree is at.
 * @returns {string | null} with `+` where files differ from it; null: git does not know
 */
export function treeNow() {
	try {
		const changed = git("status", "--porcelain") !== "";
		return git("rev-parse", "--short=7", "HEAD") + (changed ? "+" : "");
	} catch {
		return null;
	}
}

/**
 * Checks a commit out beside this tree, or finds it there from an earlier run.
 * @param {string} commit @param {Board} board @returns {Promise<Edition>}
 */
export async function checkedOut(commit, board) {
	const hash = hashOf(commit);
	const name = hash.slice(0, 7);
	const row = board.row("checkout", name);
	const folder = join(state, "against", name);
	mkdirSync(join(state, "against"), { recursive: true });
	git("worktree", "prune"); // forgets those whose folder somebody removed
	if (!existsSync(folder)) git("worktree", "add", "--detach", folder, hash);
	await packages(folder, row);
	row.done(name);
	return { name, root: folder };
}

/** @param {string} commit @returns {string} */
function hashOf(commit) {
	try {
		return git(
			"rev-parse",
			"--verify",
			"--end-of-options",
			`${commit}^{commit}`,
		);
	} catch {
		throw new Error(`--against ${commit}: git knows no such commit here`);
	}
}

/** @param {string} folder @param {ReturnType<Board["row"]>} row */
async function packages(folder, row) {
	const there = join(folder, "node_modules");
	if (existsSync(there)) return;
	if (runtimePackages(folder) === runtimePackages(root))
		return symlinkSync(join(root, "node_modules"), there);
	row.detail = "npm ci";
	await run("npm", ["ci", "--omit=dev", "--no-audit", "--no-fund"], {
		what: "npm ci",
		cwd: folder,
		log: join(state, "log", "against-npm-ci.log"),
		env: { npm_config_engine_strict: "false" },
	});
}

/** What the Worker is made of, as the lock has it. @param {string} folder @returns {string} */
function runtimePackages(folder) {
	const lock = readFileSync(join(folder, "package-lock.json"), "utf8");
	return JSON.stringify(
		Object.entries(JSON.parse(lock).packages)
			.filter(([path, { dev }]) => path.startsWith("node_modules/") && !dev)
			.map(([path, { version, integrity }]) => [path, version, integrity]),
	);
}
