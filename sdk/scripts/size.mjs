// @ts-check
/** Measures the client in a bundle, minified and compressed, and each module's part of it. */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const sdk = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * @param {string} source the program to bundle
 * @returns {Promise<{ minified: number, gzip: number, modules: [string, number][] }>} bytes
 */
export async function sizeOf(source) {
	const { outputFiles, metafile } = await build({
		stdin: { contents: source, resolveDir: sdk },
		bundle: true,
		minify: true,
		format: "esm",
		target: "es2022",
		platform: "browser",
		write: false,
		metafile: true,
	});
	const [file] = outputFiles;
	const [output] = Object.values(metafile.outputs);
	if (!file || !output) throw new Error("nothing was built");
	const modules = Object.entries(output.inputs)
		.map(
			([path, { bytesInOutput }]) =>
				/** @type {[string, number]} */ ([path, bytesInOutput]),
		)
		.filter(([, bytes]) => bytes > 0)
		.sort(([, a], [, b]) => b - a);
	return {
		minified: file.contents.length,
		gzip: gzipSync(file.contents, { level: 9 }).length,
		modules,
	};
}

/** The size limit holds for this program. */
export const CORE = 'export { MiniGPT4 } from "./src/index.ts";';

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	for (const source of [CORE, 'export { webhooks } from "./src/index.ts";']) {
		const { minified, gzip, modules } = await sizeOf(source);
		const kib = (gzip / 1024).toFixed(2);
		console.log(
			`${source}\n${minified} bytes minified, ${gzip} with gzip (${kib} KiB)`,
		);
		for (const [path, bytes] of modules)
			console.log(`${String(bytes).padStart(8)}  ${path}`);
		console.log();
	}
}
