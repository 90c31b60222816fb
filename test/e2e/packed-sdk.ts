/** The SDK as its users have it: packed, and installed where nothing else is. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { root } from "../../scripts/paths.mjs";

const run = promisify(execFile);

export type SDK = typeof import("../../sdk/src/index.ts");

export interface Installed {
	/** A project that has the package and nothing else. */
	folder: string;
	/** The package in it. */
	path: string;
	/** Paths of the tarball's files. */
	files: string[];
	sdk: SDK;
	remove: () => Promise<void>;
}

/** Without a registry: there is nothing to ask it for. */
export async function installSDK(): Promise<Installed> {
	const folder = await mkdtemp(join(tmpdir(), "minigpt4-sdk-"));
	const packed = await run(
		"npm",
		["pack", "--json", "--pack-destination", folder],
		{ cwd: join(root, "sdk") },
	);
	const [tarball] = JSON.parse(
		packed.stdout.slice(packed.stdout.search(/^\[/m)),
	) as { filename: string; files: { path: string }[] }[];
	if (!tarball) throw new Error("npm packed nothing");
	await writeFile(join(folder, "package.json"), '{"type":"module"}');
	await run(
		"npm",
		["install", "--offline", "--no-audit", `./${tarball.filename}`],
		{ cwd: folder },
	);
	const path = join(folder, "node_modules", "minigpt4");
	return {
		folder,
		path,
		files: tarball.files.map(({ path }) => path),
		sdk: await import(pathToFileURL(join(path, "dist/index.js")).href),
		remove: () => rm(folder, { recursive: true, force: true }),
	};
}
