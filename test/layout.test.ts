/// <reference types="vite/types/importMeta.d.ts" />
/**
 * The layout of src/, drawn from its imports: an arrow goes from a floor down to a lower one, never
 * up, and files import each other's values in no circle. A folder thus says where its code runs.
 */
import { describe, expect, test } from "vitest";

const sources = import.meta.glob<string>(
	["../src/**/*.ts", "!../src/playground/**"],
	{ query: "?raw", import: "default", eager: true },
);

/** From the top down. Nothing on a floor imports from another room on the same floor. */
const FLOORS = [
	["index.ts"],
	["app.ts"],
	["routes"],
	["submit"],
	["session"],
	["http"],
	["account", "job", "pool", "endpoint", "collector", "directory"],
	["durable"],
	["stream"],
	["openai", "receipts", "billing", "backends", "images", "egress", "metrics"],
	["schema"],
	["contract"],
];
/**
 * Files beside the rooms are on the lowest floor, one above the other as their imports say, and
 * among them is a room that imports nothing.
 */
const LOWEST = FLOORS.length;
const CELLAR = "pricing";

interface Arrow {
	from: string;
	to: string;
	/** The import leaves something behind after the types are erased. */
	value: boolean;
}

const roomOf = (file: string): string => file.split("/")[0] as string;

function floorOf(file: string): number {
	const floor = FLOORS.findIndex((rooms) => rooms.includes(roomOf(file)));
	if (floor < 0 && file.includes("/") && roomOf(file) !== CELLAR)
		throw new Error(`FLOORS names no room for src/${file}`);
	return floor < 0 ? LOWEST : floor;
}

/** @param path as `import.meta.glob` names it */
const nameOf = (path: string): string => path.replace("../src/", "");

function arrowsOf(path: string, text: string): Arrow[] {
	const imports =
		/^(?:import|export)\s+(type\s)?(?:([^"';]*?)\s*from\s*)?"(\.[^"]+)";/gm;
	return Array.from(text.matchAll(imports), ([, type, names = "", to]) => ({
		from: nameOf(path),
		to: new URL(to as string, `file:///${nameOf(path)}`).pathname.slice(1),
		value: !(
			type ||
			(names.startsWith("{") &&
				names
					.slice(1, -1)
					.split(",")
					.filter((name) => name.trim())
					.every((name) => name.trim().startsWith("type ")))
		),
	}));
}

const arrows = Object.entries(sources).flatMap(([path, text]) =>
	arrowsOf(path, text),
);

/** A circle among the arrows, as the names along it; null where there is none. */
function circle(among: readonly { from: string; to: string }[]) {
	const next = Map.groupBy(among, ({ from }) => from);
	const done = new Set<string>();
	const walk = (name: string, path: string[]): string[] | null => {
		if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
		if (done.has(name)) return null;
		for (const { to } of next.get(name) ?? []) {
			const found = walk(to, [...path, name]);
			if (found) return found;
		}
		done.add(name);
		return null;
	};
	for (const name of next.keys()) {
		const found = walk(name, []);
		if (found) return found.join(" -> ");
	}
	return null;
}

describe("the layout of src/", () => {
	test("every import leads to a file of src/", () => {
		expect(arrows.length).toBeGreaterThan(500);
		const files = new Set(Object.keys(sources).map(nameOf));
		expect(arrows.filter(({ to }) => !files.has(to))).toEqual([]);
	});

	test("no arrow runs up the floors, or across one", () => {
		const wrong = arrows.filter(
			({ from, to }) =>
				roomOf(from) !== roomOf(to) &&
				(floorOf(to) < floorOf(from) ||
					(floorOf(to) === floorOf(from) && floorOf(from) < LOWEST)),
		);
		expect(wrong.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
	});

	test("no folder imports another in a circle, types included", () => {
		const between = arrows
			.map(({ from, to }) => ({ from: roomOf(from), to: roomOf(to) }))
			.filter(({ from, to }) => from !== to);
		expect(circle(between)).toBeNull();
	});

	test("no files import each other's values in a circle", () => {
		expect(circle(arrows.filter(({ value }) => value))).toBeNull();
	});

	test("a circle is found where there is one", () => {
		expect(
			circle([
				{ from: "a", to: "b" },
				{ from: "b", to: "c" },
				{ from: "c", to: "b" },
			]),
		).toBe("b -> c -> b");
	});

	test("pricing/ is pure: it imports nothing but its own files", () => {
		const own = arrows.filter(({ from }) => roomOf(from) === CELLAR);
		expect(own.length).toBeGreaterThan(3);
		expect(own.filter(({ to }) => roomOf(to) !== CELLAR)).toEqual([]);
		const packages = Object.entries(sources).filter(
			([path, text]) =>
				roomOf(nameOf(path)) === CELLAR && /from "[^.]/.test(text),
		);
		expect(packages.map(([path]) => path)).toEqual([]);
	});

	test("objects.ts alone turns names into objects", () => {
		const naming = Object.entries(sources)
			.filter(([, text]) => /\b(idFromName|getByName)\(/.test(text))
			.map(([path]) => nameOf(path));
		expect(naming).toEqual(["objects.ts"]);
	});

	test("the first file of each folder says where the folder runs", () => {
		const names = Object.keys(sources).map(nameOf).sort();
		const rooms = new Set(
			names.filter((name) => name.includes("/")).map(roomOf),
		);
		expect(rooms.size).toBeGreaterThan(10);
		const silent = [...rooms].filter((room) => {
			const first = names.find((name) => name.startsWith(`${room}/`));
			return !/\* Runs in/.test(sources[`../src/${first}`] ?? "");
		});
		expect(silent).toEqual([]);
	});

	test("below the Worker's floors nothing knows Hono's Context", () => {
		const worker = ["routes", "submit", "session", "http"];
		const knowing = Object.entries(sources)
			.filter(([, text]) => /from "hono/.test(text))
			.map(([path]) => nameOf(path))
			.filter((file) => file !== "app.ts" && !worker.includes(roomOf(file)));
		expect(knowing).toEqual([]);
	});
});
