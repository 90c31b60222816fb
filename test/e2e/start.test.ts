/** `npm start` as a developer meets it, in a state folder and on ports of its own. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, afterEach, expect, test } from "vitest";
import { root } from "../../scripts/paths.mjs";
import { freePort } from "../../scripts/ports.mjs";
import { chooseModel, DEFAULT_MODEL } from "../../scripts/serving.mjs";

const state = mkdtempSync(join(tmpdir(), "minigpt4-start-"));
afterAll(() => rmSync(state, { recursive: true, force: true }));

const running = new Set<ChildProcess>();
afterEach(async () => {
	for (const child of running) {
		child.kill();
		await once(child, "exit");
	}
});

interface Started {
	child: ChildProcess;
	output(): string;
}

async function start(args: string[]): Promise<Started> {
	const child = spawn(
		"node",
		["scripts/start.mjs", "--state", state, ...args],
		{ cwd: root },
	);
	running.add(child);
	child.on("exit", () => running.delete(child));
	let text = "";
	for (const stream of [child.stdout, child.stderr])
		stream?.on("data", (data) => {
			text += data;
		});
	return { child, output: () => text };
}

async function startOnFreePorts(
	...more: string[]
): Promise<Started & { url: string; bucket: string }> {
	const [port, s3, worker] = [
		await freePort(),
		await freePort(),
		await freePort(),
	];
	const started = await start([
		"--port",
		`${port}`,
		"--s3-port",
		`${s3}`,
		"--worker-port",
		`${worker}`,
		...more,
	]);
	await expect
		.poll(started.output, { timeout: 150_000 })
		.toContain("Ctrl-C stops everything");
	const at = (port: number) => `http://127.0.0.1:${port}`;
	const bucket = `${at(s3)}/cdn-cgi/local/r2/s3/minigpt4`;
	return { ...started, url: at(port), bucket };
}

/** Processes that live: a zombie does not. */
function processes(): { pid: number; parent: number }[] {
	return readdirSync("/proc")
		.filter((name) => /^\d+$/.test(name))
		.flatMap((name) => {
			try {
				const stat = readFileSync(`/proc/${name}/stat`, "utf8");
				const [status, parent] = stat
					.slice(stat.lastIndexOf(")") + 2)
					.split(" ");
				return status === "Z"
					? []
					: [{ pid: Number(name), parent: Number(parent) }];
			} catch {
				return []; // it ended meanwhile
			}
		});
}

function descendants(pid: number): number[] {
	const all = processes();
	const family = [pid];
	for (const member of family)
		family.push(...all.filter((p) => p.parent === member).map((p) => p.pid));
	return family;
}

const stillAlive = (pids: number[]) =>
	processes()
		.map((p) => p.pid)
		.filter((pid) => pids.includes(pid));

test("a taken port is named, with the way to another one, before anything starts", async () => {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as { port: number };
	const { child, output } = await start(["--port", `${port}`]);
	const [code] = await once(child, "exit");
	server.close();
	expect(code).toBe(1);
	expect(output()).toContain(`Port ${port}, for the edge, is taken`);
	expect(output()).toContain("npm start -- --port <port>");
	expect(readdirSync(state)).toEqual([]);
});

test.each([
	["https://app.example.com/", "https://app.example.com"],
	["https://App.example.com", "https://app.example.com"],
	["app.example.com", "scheme, host and port"],
	["*", "scheme, host and port"],
])(
	"a page's origin that is none, %j, is refused with what to write, before anything starts",
	async (origin, says) => {
		const { child, output } = await start([
			"--allowed-origins",
			`http://localhost:5173,${origin}`,
		]);
		const [code] = await once(child, "exit");
		expect(code).toBe(1);
		expect(output()).toContain(`--allowed-origins ${origin}: write `);
		expect(output()).toContain(says);
		expect(readdirSync(state)).toEqual([]);
	},
);

test("the printed curl works before the worker is up; Ctrl-C leaves nothing", async () => {
	const { child, output } = await startOnFreePorts();
	const curl = /^curl -N.*?'$/ms.exec(output())?.[0] ?? "no curl was printed";
	const { stdout } = await promisify(execFile)(
		"bash",
		["-c", `${curl} --max-time 15 --silent || true`],
		{ cwd: root },
	);
	expect(stdout).toMatch(/^event: job\.(queued|provisioning)$/m);
	for (const file of ["secrets.json", "development.json", "edge.json"]) {
		expect(statSync(join(state, file)).mode & 0o777).toBe(0o600);
	}
	const { adminSecret, workerKey, s3SecretKey } = JSON.parse(
		readFileSync(join(state, "secrets.json"), "utf8"),
	);
	const family = descendants(child.pid as number);
	expect(family.length).toBeGreaterThan(3); // npm start, the edge, workerd, the engine
	for (const pid of family) {
		const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8");
		for (const secret of [adminSecret, workerKey, s3SecretKey])
			expect(argv).not.toContain(secret);
	}
	child.kill("SIGINT");
	const [code] = await once(child, "exit");
	expect(code).toBe(0);
	await expect.poll(() => stillAlive(family), { timeout: 15_000 }).toEqual([]);
});

test("a host that may not be allowed as written is named before anything starts", async () => {
	const { child, output } = await start([
		"--egress-allow",
		"http://localhost:3000",
	]);
	const [code] = await once(child, "exit");
	expect(code).toBe(1);
	expect(output()).toContain("--egress-allow http://localhost:3000");
	expect(output()).toContain("localhost:3000");
});

test("a second start finds its account and key; killed hard it leaves nothing either", async () => {
	const { key } = JSON.parse(
		readFileSync(join(state, "development.json"), "utf8"),
	);
	const page = "https://app.example.com";
	const { child, output, url, bucket } = await startOnFreePorts(
		"--allowed-origins",
		`${page}, http://localhost:5173`,
		"--egress-allow",
		"localhost:3000",
		"--egress-allow",
		"receiver",
	);
	expect(output()).toContain(`${url}/#key=${key}`);
	for (const [origin, allowed] of [
		[page, page],
		["http://localhost:5173", "http://localhost:5173"],
		[url, url],
		["https://elsewhere.example", null],
	] as const) {
		const preflight = await fetch(`${bucket}/staging/x`, {
			method: "OPTIONS",
			headers: {
				Origin: origin,
				"Access-Control-Request-Method": "PUT",
				"Access-Control-Request-Headers": "content-type,x-amz-checksum-sha256",
			},
		});
		expect(preflight.headers.get("Access-Control-Allow-Origin")).toBe(allowed);
	}
	const webhook = async (to: string) => {
		const answer = await fetch(`${url}/v1/webhooks`, {
			method: "POST",
			headers: {
				Authorization: `Bearer ${key}`,
				"Content-Type": "application/json",
			},
			body: JSON.stringify({ url: to }),
		});
		await answer.body?.cancel();
		return answer.status;
	};
	expect(await webhook("http://localhost:3000/hooks")).toBe(201);
	expect(await webhook("http://receiver:8080/")).toBe(201);
	expect(await webhook("http://localhost:3001/hooks")).toBe(422);
	const family = descendants(child.pid as number);
	child.kill("SIGKILL");
	await sleep(100);
	await expect.poll(() => stillAlive(family), { timeout: 15_000 }).toEqual([]);
});

test("the model is the one that is named, or the default where the memory holds it", () => {
	expect(chooseModel("nano", 16e9)).toEqual({ model: "nano", warning: null });
	expect(chooseModel("mini", 16e9)).toEqual({ model: "mini", warning: null });
	expect(chooseModel(undefined, 16e9)).toEqual({
		model: DEFAULT_MODEL,
		warning: null,
	});
	expect(chooseModel(undefined, 3e9)).toEqual({
		model: "nano",
		warning: expect.stringContaining("3.0 GB are free"),
	});
	expect(() => chooseModel("mini", 5.2e9)).toThrow(
		"--model mini: mini needs 8.0 GB of free memory, and 5.2 GB are free. " +
			"Free some, or take --model nano.",
	);
	expect(() => chooseModel("vicuna", 16e9)).toThrow(
		"--model vicuna: choose mini or nano",
	);
});
