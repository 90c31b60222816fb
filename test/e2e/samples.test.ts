/**
 * Runs every code sample of the documents, and every `@example` of the SDK, as a reader would:
 * shell with bash, TypeScript with Node, Python with the worker's Python, against an edge with the
 * real nano worker, in a folder that has `samples/` and the packages that the text installs. Each
 * sample must succeed, and its output must match what TRUE says of it; a sample that no entry fits
 * fails.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { glob, mkdtemp, readFile, symlink, writeFile } from "node:fs/promises";
import { delimiter, join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { root, venv } from "../../scripts/paths.mjs";
import { freePort } from "../../scripts/ports.mjs";
import { type Deployment, deploy } from "./deployment.ts";
import { examplesOf, type Sample, samplesOf } from "./fenced.ts";
import { type Installed, installSDK } from "./packed-sdk.ts";

const DOCUMENTS = [
	"README.md",
	"sdk/README.md",
	"docs/*.md",
	"docs/guides/*.md",
	"sdk/src/*.ts",
];

/**
 * What is true of a sample's output, by what the sample holds; every entry that fits must hold, and
 * one must fit.
 */
const TRUE: [sample: RegExp, output: RegExp][] = [
	// What is asked about the photo of a cat is told of a cat.
	[
		/^(?=[\s\S]*cat\.jpg)(?=[\s\S]*(prompt|question|describe|minigpt4 ask|What is in))/,
		/\bcat\b|\btabby\b|kitten|feline/i,
	],
	[/upload samples\/coffee\.jpg/, /img_[0-9A-Z]{26}/],
	[/"max_price":5/, /^"price":[1-5]$/m],
	[/v1\/quotes(?![\s\S]*v1\/jobs)/, /"maximum":\d+,[\s\S]*"expected":\d+,/],
	[/v1\/quotes[\s\S]*v1\/jobs/, /^"price":[1-9]$/m],
	[/quotes\.create/, /^about \d+, at most \d+ micro-USD$/m],
	[/minigpt4 quote/, /^at most +\$0\.\d+\nexpected +\$0\.\d+$/m],
	[/Idempotency-Key: order-117/, /^("id":"[0-9A-Z]{26}")\s+\1\s*$/],
	[/"previous_job":/, /"status":"succeeded"/],
	[/"max_tokens":0/, /"code":"invalid_request"[\s\S]*max_tokens/],
	[/max_tokens: 0/, /^400 invalid_request max_tokens /],
	[/jobs\.list\(\)/, /^[0-9A-Z]{26} \w+ \d+$/m],
	[
		/gpt-4o[\s\S]*NotFoundError/,
		/^model_not_found .*There is no model "gpt-4o"/,
	],
	[/\/v1\/events/, /"type":"job\.succeeded"/],
	[/webhooks create/, /whsec_/],
	[/node receiver\.mjs/, /^job\.succeeded .*\b(cat|tabby)\b/im],
	[/webhooks listen/, /job\.succeeded/],
	// The SDK's examples.
	[/account\.topUp/, /^payments_off /m],
	[/v1\/usage\?/, /"model":"nano","task":"[a-z]*","jobs":[1-9]/],
	[/usage\.list/, /^nano \d+ jobs, \d+ micro-USD$/m],
	[/client\.account\.get/, /^[\d.]+ USD$/m],
	[/models\.list/, /^nano \d+ 200000$/m],
	[/models\.get/, /^nano: 200000 micro-USD for a million output tokens$/m],
	[/v1\/ledger/, /^\d+,\d{4}-[^,]+Z,credit,,[^,]+,\d+,,\d+,\d+\r?$/m],
	[/ledger\.list/, /^\d{4}-\S+Z (credit|hold|settle|release) -?\d+$/m],
	[/keys\.update/, /^key_\w+ may spend 1000000 micro-USD a day$/m],
	[/keys\.list/, /^key_\w+ .+ in use$/m],
	[/name: "website"/, /^key_\w+ starts with mg_live_$/m],
	[/keys\.revoke/, /^key_\w+ was revoked at \d{4}-/m],
	[/keys\.get/, /^\[ 'jobs:read' \] not used yet$/m],
	[
		/keys\.rotate\(id, \{ grace: 3_600 \}\);\nconsole/,
		/^mg_live_ is new, and 2 secrets work$/m,
	],
	[/secrets\) console/, /^\S+Z the newest\n\S+Z \S+Z$/m],
	[/keys create "nightly/, /^mg_live_\S+$/m],
	[/keys rotate/, /^mg_live_\S+$/m],
	[/receipt verify/, /^The receipt of job [0-9A-Z]{26} is genuine\.$/m],
	[/receipts\.verify/, /^nano \d+ tokens, \d+ micro-USD$/m],
	[/jobs\.receipt\(id\);\nconsole/, /^\d{3,} [0-9a-f]{64} [0-9a-f]{64}$/m],
	[/await client\.receiptKeys\(\);\nconsole/, /^\[ '[\w-]{43}' \]$/m],
	[/events\.list\(\{ types/, /^\d+ job\.succeeded \d{4}-/m],
	[/events\.stream/, /^\d+ job\.succeeded$/m],
	[/onProgress/, /^(\d+) of \1 bytes$/m],
	[/uploads\.list/, /^img_[0-9A-Z]{26} ready \d+$/m],
	[/uploads\.get/, /^img_[0-9A-Z]{26}: 512 × 512, uploaded at \d{4}-/m],
	[/(uploads|jobs|webhooks)\.delete/, /^Deleted [\w]{26,}$/m],
	[/no-such-file\.jpg/, /^file_unreadable .*no-such-file/],
	[/jobs\.list\(\{ limit: 50/, /^[0-9A-Z]{26} \w+$/m],
	[/jobs\.page\(\)/, /^[12] jobs on the first page$/m],
	[/startWithin|jobs\.get/, /^[0-9A-Z]{26} (queued|provisioning|running)/],
	[/"job\.canceled"\) console/, /^job\.canceled$/m],
	[/error instanceof JobError/, /^canceled \d+$/m],
	[/ulid\(\)/, /^true /],
	[/stream\.job\(\);\nconsole/, /^\d+ tokens for 1\d\d micro-USD$/m],
	[/job\.running"\) console/, /^The model starts\.$/m],
	[/createHmac/, /^webhook\.test is genuine$/m],
	[/webhooks\.(create|rotate)\([\s\S]*slice/, /^wh_\w+ signs with .* whsec_$/m],
	[/webhooks\.list/, /^wh_\w+ enabled https:\/\/example\.com/m],
	[/webhooks\.get/, /^wh_\w+ enabled null$/m],
	[/webhooks\.update/, /^wh_\w+ receives \[ 'job\.failed' \]$/m],
	[/"test", status/, /^test (delivered|failed) \S/m],
	[/webhooks\.deliveries/, /^webhook\.test (delivered|failed) \S/m],
	[/webhooks\.redeliver/, /^Every event after \d+ is delivered again\.$/m],
	[/webhooks\.(secret|rotateSecret)/, /^The account's .*secret .* whsec_$/m],
];

/** Lines that are not run, each with what is checked instead. */
const NOT_RUN: {
	line: RegExp;
	because: string;
	check: (match: RegExpExecArray) => Promise<void> | void;
}[] = [
	{
		line: /^npm (?:run )?(start|test|bench|simulate|chaos|setup)\b/,
		because: "starts, tests or measures all of it; other tests do that",
		check: async ([, script]) =>
			expect((await manifest()).scripts).toHaveProperty(script as string),
	},
	{
		line: /^npm pack -w (\S+)/,
		because: "the package is packed for this very file",
		check: async ([, workspace]) =>
			expect((await manifest()).workspaces).toContain(workspace),
	},
	{
		line: /^(?:npm init -y && )?npm install (.+)$/,
		because: "the packages are there, and a test asks no registry",
		check: async ([, packages]) => {
			const { name, version } = await manifest("sdk/package.json");
			const { devDependencies } = await manifest();
			for (const each of packages?.split(" ") ?? [])
				if (each.endsWith(".tgz"))
					expect(each.split("/").at(-1)).toBe(`${name}-${version}.tgz`);
				else expect(devDependencies).toHaveProperty([each]);
		},
	},
	{
		line: /^mkdir -p \S+ && cp (\S+) \S+\.tgz (\S+) /,
		because:
			"makes the reader's project beside the repository; the test's is elsewhere",
		check: async ([, flag, folder]) => {
			const to = await mkdtemp(join(project.folder, "copied-"));
			const from = join(root, folder as string);
			const { code } = await run(["cp", flag as string, from, to]);
			expect(code).toBe(0);
			await readFile(join(to, folder as string, "cat.jpg"));
		},
	},
	{
		line: /^pip install (\S+)$/,
		because: "the package is there, and a test asks no registry",
		check: async ([, name]) =>
			expect(await readFile("gpu-worker/pyproject.toml", "utf8")).toMatch(
				new RegExp(`"${name}[=<>~"]`),
			),
	},
	{
		line: /^export MINIGPT4_(BASE_URL|API_KEY)=/,
		because:
			"names the reader's own deployment and key; here they are the test's",
		check: () => {},
	},
	{
		line: /^cd gpu-worker && source \.venv\/bin\/activate/,
		because: "belongs to the worker's commands below it",
		check: () => {},
	},
	{
		line: /^(?:\w+=\S+ )?minigpt4-worker (\w+)(.*)$/,
		because:
			"wants weights that are not ours to bring; the worker's tests run it",
		check: async ([, command, rest]) => {
			const help = await run([
				join(venv, "bin", "minigpt4-worker"),
				command as string,
				"--help",
			]);
			expect([help.code, help.said]).toEqual([0, expect.any(String)]);
			for (const [flag] of rest?.matchAll(/--[a-z-]+/g) ?? [])
				expect(help.said).toContain(flag);
		},
	},
];

const manifest = async (path = "package.json") =>
	JSON.parse(await readFile(join(root, path), "utf8"));

let stack: Deployment;
let project: Installed;
let port: number;
const children = new Set<ChildProcess>();

beforeAll(async () => {
	project = await installSDK();
	await symlink(join(root, "samples"), join(project.folder, "samples"));
	await symlink(
		join(root, "node_modules/openai"),
		join(project.folder, "node_modules/openai"),
	);
	stack = await deploy();
	port = await freePort();
});
afterAll(async () => {
	for (const child of children) end(child);
	await stack?.stop();
	await project?.remove();
});

/** Ends a process and what it started. */
function end(child: ChildProcess): void {
	children.delete(child);
	try {
		process.kill(-(child.pid as number), "SIGKILL");
	} catch {} // it ended by itself
}

interface Running {
	child: ChildProcess;
	/** Both streams, as they came. */
	said: string;
	ended: Promise<number | null>;
}

function start([command, ...args]: string[], extra: object = {}): Running {
	const child = spawn(command as string, args, {
		cwd: project.folder,
		detached: true,
		stdio: ["ignore", "pipe", "pipe"],
		env: {
			HOME: project.folder,
			PATH: [join(root, "node_modules/.bin"), process.env.PATH].join(delimiter),
			npm_config_offline: "true",
			NO_COLOR: "1",
			MINIGPT4_BASE_URL: stack.url,
			MINIGPT4_API_KEY: stack.key,
			KEY: stack.key,
			...extra,
		},
	});
	children.add(child);
	const running: Running = {
		child,
		said: "",
		ended: new Promise((resolve) => child.on("close", resolve)),
	};
	for (const stream of [child.stdout, child.stderr])
		stream?.on("data", (text) => {
			running.said += text;
		});
	return running;
}

async function run(
	command: string[],
): Promise<{ code: number | null; said: string }> {
	const running = start(command);
	const code = await running.ended;
	children.delete(running.child);
	return { code, said: running.said };
}

/** The text as it would be on the reader's machine, with this deployment's addresses. */
const here = (code: string) =>
	code
		.replaceAll("http://127.0.0.1:8787", stack.url)
		.replace(/\b3000\b/g, String(port));

/** What a sample said, with the pieces of a stream put together. */
const readable = (said: string) => {
	const pieces = [...said.matchAll(/^data: (\{"text":.*\})$/gm)];
	const texts = pieces.map(([, data]) => JSON.parse(data as string).text);
	return `${said}\n${texts.join("")}`;
};

const truthsOf = ({ code }: Sample) => TRUE.filter(([fits]) => fits.test(code));

function expectTrue(sample: Sample, said: string): void {
	expect(
		truthsOf(sample).length,
		"nothing is known of its output",
	).toBeGreaterThan(0);
	for (const [, truth] of truthsOf(sample))
		expect(readable(said)).toMatch(truth);
}

/** How a sample of each language runs. */
const RUN: Record<string, (code: string) => Promise<string[]> | string[]> = {
	sh: (code) => ["bash", "-euo", "pipefail", "-c", code],
	ts: (code) => inFile("sample.ts", code, "node"),
	js: (code) => inFile("sample.mjs", code, "node"),
	python: (code) => inFile("sample.py", code, join(venv, "bin", "python")),
};
async function inFile(
	name: string,
	code: string,
	program: string,
): Promise<string[]> {
	const path = join(project.folder, name);
	await writeFile(path, code);
	return [program, path];
}

for await (const path of glob(DOCUMENTS, { cwd: root })) {
	const document = relative(root, join(root, path));
	const text = await readFile(join(root, document), "utf8");
	const samples = /\.ts$/.test(path) ? examplesOf(text) : samplesOf(text);
	if (samples.length > 0) describe(document, () => tell(samples));
}

function tell(samples: Sample[]): void {
	/** What later samples of the document find in their environment. */
	let exported = "";
	const background: { sample: Sample; running: Running }[] = [];
	afterAll(() => {
		for (const { running } of background) end(running.child);
	});

	for (const sample of samples) {
		const { line, language, words, code } = sample;
		const name = `line ${line}, ${[language || "(no language)", ...words].join(" ")}`;
		const file = words.find((word) => word.startsWith("file="))?.slice(5);

		if (language === "text") continue;
		if (language === "json") {
			it(`${name}: is JSON`, () => void JSON.parse(code));
			continue;
		}
		const known = RUN[language];
		if (!known) {
			it(name, () => {
				throw new Error(
					`There is no way to run ${language || "a block without a language"}. ` +
						`Say which it is: ${Object.keys(RUN).join(", ")}, json, ` +
						"or text for what is no program.",
				);
			});
			continue;
		}
		if (file) {
			it(`${name}: is written down`, () =>
				writeFile(join(project.folder, file), here(code)));
			continue;
		}
		it(name, async () => {
			const rest: string[] = [];
			for (const each of language === "sh" ? code.split("\n") : [code]) {
				const excepted = NOT_RUN.map(
					(one) => [one, one.line.exec(each)] as const,
				).find(([, match]) => match);
				if (language === "sh" && excepted) {
					const [{ check }, match] = excepted;
					await check(match as RegExpExecArray);
				} else rest.push(each);
			}
			const script = here(rest.join("\n"));
			if (script.trim() === "") return;
			const command = await known(exported + script);
			if (
				script
					.trim()
					.split("\n")
					.every((each) => each.startsWith("export "))
			) {
				// Evaluated once: what is drawn at random stays the same.
				const { code, said } = await run(
					await known(
						`${script}\n${script.replace(/^export (\w+)=.*$/gm, "declare -p $1")}`,
					),
				);
				expect([code, said]).toEqual([
					0,
					expect.stringMatching(/^declare -x /),
				]);
				exported += said;
				return;
			}
			if (words.includes("background")) {
				const running = start(command);
				background.push({ sample, running });
				await ready(running, script);
				return;
			}
			const { code: exit, said } = await run(command);
			expect([exit, exit === 0 ? "" : said]).toEqual([0, ""]);
			expectTrue(sample, said);
		});
	}

	if (samples.some(({ words }) => words.includes("background")))
		it("what runs in the background said what is true in the end", async () => {
			for (const { sample, running } of background) {
				for (let n = 0; n < 100; n++) {
					if (truthsOf(sample).every(([, truth]) => truth.test(running.said)))
						break;
					await sleep(200);
				}
				expectTrue(sample, running.said);
			}
		});
}

/** Waits until a background sample is at work: it answers, or says so. */
async function ready(running: Running, script: string): Promise<void> {
	for (let n = 0; n < 150; n++) {
		if (/Waiting for events/.test(running.said)) return;
		if (!/listen/.test(script)) {
			const answer = await fetch(`http://localhost:${port}`).catch(() => null);
			if (answer) return;
		}
		if (running.child.exitCode !== null) break;
		await sleep(200);
	}
	throw new Error(`It did not start: ${running.said}`);
}
