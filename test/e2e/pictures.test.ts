/**
 * Some 650 odd pictures: what the edge says of each, what the worker makes of what the edge keeps,
 * and what Chromium draws.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as paths from "../../scripts/paths.mjs";
import { openBrowser } from "./browser.ts";
import { type Deployment, deploy } from "./deployment.ts";

const run = promisify(execFile);
const AT_ONCE = 8;
const BATCH = 40;
/**
 * Levels of 255 that a sample may be off. Both sides decode with the same libraries' arithmetic, so
 * opaque pixels are equal to the bit; where alpha is laid on white, one rounds and the other cuts.
 */
const TOLERANCE = 1;

/**
 * What Chromium makes of a file. `whole` is its own verdict: createImageBitmap refuses what decodes
 * in part.
 */
interface Drawn {
	whole: boolean;
	size: [number, number];
	/** RGBA on white, base64. */
	pixels: string;
}
/** What is stored of an upload, or the code that refused it. */
type Verdict = { kept: Uint8Array<ArrayBuffer> } | { code: string };
interface Exception {
	files: RegExp;
	met: number;
}

let stack: Deployment;
let folder: string;
let names: string[];
const files = new Map<string, Buffer>();
const drawn = new Map<string, Drawn>();
const verdicts = new Map<string, Verdict>();
let decoded: Record<string, [number, number] | string>;
const exceptions: Record<string, Exception[]> = {};

beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), "minigpt4-pictures-"));
	await python("odd_pictures.py", folder);
	const index = JSON.parse(
		await readFile(join(folder, "index.json"), "utf8"),
	) as Record<string, string>;
	names = Object.keys(index);
	for (const [name, file] of Object.entries(index))
		files.set(name, await readFile(join(folder, file)));
	stack = await deploy({ LIMIT_REQUESTS_PER_MINUTE: "100000" });
	await Promise.all([upload(), draw()]);
	const kept = join(folder, "kept");
	await mkdir(kept);
	for (const [n, name] of names.entries()) {
		const verdict = verdicts.get(name);
		if (verdict && "kept" in verdict)
			await writeFile(join(kept, String(n)), verdict.kept);
	}
	await python("decode_pictures.py", kept);
	decoded = JSON.parse(await readFile(join(kept, "decoded.json"), "utf8"));
	const page = await readFile(join(paths.root, "docs/pictures.md"), "utf8");
	for (const kind of ["Refused", "Pixels", "Undecodable"])
		exceptions[kind] = exceptionsOf(page, kind);
});
afterAll(async () => {
	await stack?.stop();
	await rm(folder, { recursive: true, force: true });
});

const python = (script: string, argument: string) =>
	run(
		join(paths.venv, "bin", "python"),
		["-W", "ignore", join(paths.gpuWorker, "tests", script), argument],
		{ env: { ...process.env, PYTHONPATH: paths.gpuWorker } },
	);

/** The files that a table of docs/pictures.md names; a `*` stands for anything. */
function exceptionsOf(page: string, heading: string): Exception[] {
	const [, section = ""] = page.split(new RegExp(`^### ${heading}.*$`, "m"));
	const [table = ""] = section.split(/^#/m);
	return [...table.matchAll(/^\| `([^|]+)` \|/gm)].flatMap(([, cell = ""]) =>
		cell.split("`, `").map((pattern) => ({
			files: new RegExp(`^${pattern.replaceAll("*", ".*")}$`),
			met: 0,
		})),
	);
}

async function upload(): Promise<void> {
	const left = [...names];
	const headers = { Authorization: `Bearer ${stack.key}` };
	const next = async (): Promise<void> => {
		for (let name = left.pop(); name !== undefined; name = left.pop()) {
			const body = new Uint8Array(files.get(name) as Buffer);
			const sent = await fetch(`${stack.url}/v1/uploads`, {
				method: "POST",
				headers,
				body,
			});
			const answer = (await sent.json()) as { id: string; code: string };
			expect([201, 422]).toContain(sent.status);
			if (sent.status === 422) {
				verdicts.set(name, { code: answer.code });
				continue;
			}
			const content = await fetch(
				`${stack.url}/v1/files/${answer.id}/content`,
				{ headers },
			);
			const kept = new Uint8Array(await content.arrayBuffer());
			verdicts.set(name, { kept });
		}
	};
	await Promise.all(Array.from({ length: AT_ONCE }, next));
}

async function draw(): Promise<void> {
	const browser = await openBrowser();
	try {
		const page = await browser.newPage();
		for (let from = 0; from < names.length; from += BATCH) {
			const batch = names.slice(from, from + BATCH);
			const sent = batch.map((name) =>
				(files.get(name) as Buffer).toString("base64"),
			);
			const found = await page.evaluate(drawAll, sent);
			for (const [n, name] of batch.entries())
				drawn.set(name, found[n] as Drawn);
		}
	} finally {
		await browser.close();
	}
}

/** In the page: each as an <img> would show it, on white. */
async function drawAll(batch: string[]): Promise<Drawn[]> {
	const all: Drawn[] = [];
	for (const base64 of batch) {
		const blob = new Blob([Uint8Array.fromBase64(base64)]);
		const image = new Image();
		image.src = URL.createObjectURL(blob);
		const loaded = await new Promise((resolve) => {
			image.onload = () => resolve(true);
			image.onerror = () => resolve(false);
		});
		const [width, height] = [image.naturalWidth, image.naturalHeight];
		const bitmap = await createImageBitmap(blob).catch(() => null);
		if (!loaded || !bitmap) {
			all.push({ whole: false, size: [width, height], pixels: "" });
			continue;
		}
		const canvas = new OffscreenCanvas(width, height);
		const context = canvas.getContext("2d", {
			willReadFrequently: true,
		}) as OffscreenCanvasRenderingContext2D;
		context.fillStyle = "white";
		context.fillRect(0, 0, width, height);
		context.drawImage(image, 0, 0);
		const { data } = context.getImageData(0, 0, width, height);
		all.push({
			whole: true,
			size: [width, height],
			pixels: new Uint8Array(data.buffer).toBase64(),
		});
	}
	return all;
}

/** Whether docs/pictures.md says that this one differs. */
function isExcepted(kind: string, name: string): boolean {
	const found = exceptions[kind]?.filter(({ files }) => files.test(name)) ?? [];
	for (const exception of found) exception.met++;
	return found.length > 0;
}

const keptOf = (name: string) => {
	const verdict = verdicts.get(name);
	return verdict && "kept" in verdict ? verdict.kept : null;
};

describe("an odd picture", () => {
	it("is taken where Chromium decodes it whole, and refused where not", () => {
		const wrong = names.flatMap((name) => {
			const { whole } = drawn.get(name) as Drawn;
			if (whole === (keptOf(name) !== null)) return [];
			if (isExcepted(whole ? "Refused" : "Undecodable", name)) return [];
			return [[name, whole, verdicts.get(name)]];
		});
		expect(wrong).toEqual([]);
	});

	it("that is taken is one that the worker decodes", () => {
		const wrong = names.flatMap((name, n) => {
			if (!keptOf(name)) return [];
			const found = decoded[n];
			if (typeof found !== "string") return [];
			return isExcepted("Undecodable", name) ? [] : [[name, found]];
		});
		expect(wrong).toEqual([]);
	});

	it("has the pixels that Chromium draws on white", async () => {
		const wrong: unknown[] = [];
		for (const [n, name] of names.entries()) {
			const [size, image] = [decoded[n], drawn.get(name) as Drawn];
			if (!size || typeof size === "string" || !image.whole) continue;
			const ours = await readFile(join(folder, "kept", `${n}.rgb`));
			const off = `${size}` === `${image.size}` ? difference(ours, image) : 255;
			if (off > TOLERANCE && !isExcepted("Pixels", name))
				wrong.push([name, size, image.size, off]);
		}
		expect(wrong).toEqual([]);
	});

	it("is an exception only where it differs", () => {
		const idle = Object.values(exceptions)
			.flat()
			.filter(({ met }) => met === 0);
		expect(idle).toEqual([]);
	});
});

/** The largest one between samples. */
function difference(ours: Buffer, { pixels }: Drawn): number {
	const theirs = Buffer.from(pixels, "base64");
	let most = 0;
	for (let n = 0; n < ours.length; n++) {
		const at = Math.floor(n / 3) * 4 + (n % 3);
		const off = Math.abs((ours[n] as number) - (theirs[at] as number));
		if (off > most) most = off;
	}
	return most;
}
