// @ts-check
/**
 * What others speak to the API with, for the tests: Python's clients in an environment of their
 * own, and a program in Go. And what others read the SDK with: compilers, and packages whose
 * objects are not the platform's.
 */
import { join } from "node:path";
import { clients, root } from "../paths.mjs";
import { run } from "../process.mjs";
import { uv } from "./uv.mjs";

const folder = join(root, "test", "e2e", "clients");

/** @type {import("./step.mjs").Step} */
export const pythonClients = {
	name: "Python clients",
	inputs: () => ["pyproject.toml", "uv.lock"].map((file) => join(folder, file)),
	outputs: [clients.python, clients.llm],
	run: ({ log, signal, onLine }) =>
		run(uv, ["sync", "--frozen"], {
			what: "uv sync",
			cwd: folder,
			log,
			signal,
			onLine,
			env: {
				UV_PROJECT_ENVIRONMENT: clients.environment,
				VIRTUAL_ENV: undefined,
				UV_LINK_MODE: undefined,
				UV_NO_PROGRESS: "1",
			},
		}),
};

/** @type {import("./step.mjs").Step} */
export const goClient = {
	name: "Go client",
	inputs: () => [join(folder, "go")],
	outputs: [clients.go],
	run: ({ log, signal, onLine }) =>
		run("go", ["build", "-o", clients.go, "."], {
			what: "go build",
			cwd: join(folder, "go"),
			log,
			signal,
			onLine,
		}),
};

const packages = join(root, "sdk", "test", "packages");

/** @type {import("./step.mjs").Step} */
export const sdkTestPackages = {
	name: "SDK test packages",
	inputs: () => [join(packages, "package-lock.json")],
	outputs: [join(packages, "node_modules", "undici", "package.json")],
	run: ({ log, signal, onLine }) =>
		run("npm", ["ci", "--no-audit", "--no-fund"], {
			what: "npm ci",
			cwd: packages,
			log,
			signal,
			onLine,
			// A newer Node runs them than the one that npm itself may run on.
			env: { npm_config_engine_strict: "false" },
		}),
};
