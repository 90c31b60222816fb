// @ts-check
/**
 * `npm run bench -- profile`: where the processor time of a POST goes, by V8's profiler. Native
 * work that a function starts, such as SQLite's, counts as that function's own.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as paths from "../../scripts/paths.mjs";
import { freePort } from "../../scripts/ports.mjs";
import { FakeWorker } from "../support/fake-worker.ts";
import { call, ended, fakeStack, upload } from "./fake-stack.mjs";
import { rounded, shares } from "./figures.mjs";
import { framed } from "./frame.mjs";
import { cpuTimes, edgeProcesses } from "./machine.mjs";

const HELP = `npm run bench -- profile [options]

  --jobs <n>         created while the profiler runs, and as many without it (300)
  --concurrency <n>  calls under way at once (16)
  --rows <n>         functions that are shown (20)
`;
const TOKENS = 16;

/** @param {string[]} args @returns {Promise<number>} exit code */
export const profile = (args) =>
	framed(
		args,
		HELP,
		{ jobs: 300, concurrency: 16, rows: 20 },
		async ({ jobs, concurrency, rows }, board, [edition]) => {
			if (!edition) throw new Error("nothing to profile");
			const row = board.row(edition.name, "booting");
			const worker = new FakeWorker({
				tokens: Array.from({ length: TOKENS }, (_, n) => ` word${n}`),
				group: TOKENS,
			});
			worker.slots = 64;
			const inspector = await freePort();
			const stack = await fakeStack({
				name: "bench-profile",
				edition,
				worker,
				inspector,
			});
			const image = await upload(stack);
			const post = async () => {
				let next = 0;
				const posting = async () => {
					while (next < jobs)
						await call(stack, "POST", "/jobs", {
							images: [{ upload: image }],
							max_tokens: TOKENS,
							prompt: `Job ${next++}.`,
						});
				};
				await Promise.all(Array.from({ length: concurrency }, posting));
				await ended(stack);
			};
			const pid = edgeProcesses(stack.edge.daemon.pid).find(
				({ role }) => role === "workerd",
			)?.pid;
			if (pid === undefined) throw new Error("the edge's workerd has gone");
			row.detail = "warming up";
			await post();
			row.detail = "without the profiler";
			const before = cpuTimes(pid);
			await post();
			const after = cpuTimes(pid);
			row.detail = "with it";
			const profiler = await attach(inspector);
			await profiler.send("Profiler.enable");
			await profiler.send("Profiler.setSamplingInterval", { interval: 200 });
			await profiler.send("Profiler.start");
			await post();
			const { profile } = await profiler.send("Profiler.stop");
			profiler.close();
			await stack.edge.stop();
			await stack.stopWorker();
			const file = join(paths.state, "bench-profile.cpuprofile");
			writeFileSync(file, JSON.stringify(profile));
			row.done(`${file}, for a browser's developer tools`);
			const perJob = (/** @type {"user" | "system"} */ what) =>
				((after[what] - before[what]) / jobs) * 1000;
			return {
				figures: rounded({
					msPerJob: { user: perJob("user"), system: perJob("system") },
					...shares(profile, rows),
				}),
			};
		},
	);

/** @param {number} port */
async function attach(port) {
	const listed = await fetch(`http://127.0.0.1:${port}/json`);
	/** @type {{ id: string, webSocketDebuggerUrl: string }[]} */
	const targets = /** @type {any} */ (await listed.json());
	const target = targets.find(({ id }) => /^(core:user:)?minigpt4$/.test(id));
	if (!target)
		throw new Error(
			`no Worker among ${targets.map(({ id }) => id).join(", ")}`,
		);
	const socket = new WebSocket(target.webSocketDebuggerUrl);
	await new Promise((resolve) => socket.addEventListener("open", resolve));
	/** @type {Map<number, (result: any) => void>} */
	const waiting = new Map();
	socket.addEventListener("message", ({ data }) => {
		const { id, result } = JSON.parse(String(data));
		waiting.get(id)?.(result);
	});
	let last = 0;
	return {
		/** @param {string} method @param {object} [params] @returns {Promise<any>} */
		send: (method, params) =>
			new Promise((resolve) => {
				waiting.set(++last, resolve);
				socket.send(JSON.stringify({ id: last, method, params }));
			}),
		close: () => socket.close(),
	};
}
