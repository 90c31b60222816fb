/**
 * The `minigpt4` command as a user has it: packed, installed, and run against an edge with nano.
 */
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { delimiter, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../scripts/ports.mjs";
import { eventually } from "../support/eventually.ts";
import { type Deployment, deploy } from "./deployment.ts";
import { type Installed, installSDK } from "./packed-sdk.ts";

const CAT = join(process.cwd(), "samples/cat.jpg");
const SURE = ["--temperature", "0", "--max-tokens", "12"];
/** So hot that the end is as unlikely as any other token: nano is brief about a picture else. */
const LONG = ["--temperature", "2", "--max-tokens", "600"];

let stack: Deployment;
let installed: Installed;
let folder: string;
let command: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
	installed = await installSDK();
	folder = installed.folder;
	command = join(folder, "node_modules/.bin/minigpt4");
	stack = await deploy();
	env = {
		PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
		MINIGPT4_API_KEY: stack.key,
		MINIGPT4_BASE_URL: stack.url,
	};
});
afterAll(async () => {
	await stack?.stop();
	await installed?.remove();
});

interface Ran {
	code: number | null;
	out: string;
	err: string;
}

/** A command under way. Without `input`, nothing is piped in. */
function start(
	args: string[],
	{
		input,
		more = {},
	}: { input?: Buffer | string; more?: NodeJS.ProcessEnv } = {},
) {
	const child = spawn(command, args, {
		cwd: folder,
		env: { ...env, ...more },
		stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
	});
	const ran: Ran = { code: null, out: "", err: "" };
	child.stdout?.on("data", (chunk) => {
		ran.out += chunk;
	});
	child.stderr?.on("data", (chunk) => {
		ran.err += chunk;
	});
	child.stdin?.end(input);
	const ended = new Promise<Ran>((resolve) =>
		child.on("close", (code) => resolve({ ...ran, code })),
	);
	return { child, ran, ended };
}

const minigpt4 = (args: string[], options?: Parameters<typeof start>[1]) =>
	start(args, options).ended;

/** What a command that must succeed printed as JSON. */
async function json(
	args: string[],
	options?: Parameters<typeof start>[1],
	// biome-ignore lint/suspicious/noExplicitAny: the wire is what these tests look at
): Promise<any> {
	const { code, out, err } = await minigpt4([...args, "--json"], options);
	expect([code, err]).toEqual([0, ""]);
	return JSON.parse(out);
}

/** In a terminal of so many columns. */
const onTerminal = (
	line: string,
	columns: number,
	more: NodeJS.ProcessEnv = {},
) =>
	new Promise<string>((resolve) => {
		const inside = `stty cols ${columns}; ${command} ${line}`;
		const child = spawn("script", ["-qec", inside, "/dev/null"], {
			env: { TERM: "xterm", ...env, ...more },
			stdio: ["ignore", "pipe", "inherit"],
		});
		let shown = "";
		child.stdout.on("data", (chunk) => {
			shown += chunk;
		});
		child.on("close", () => resolve(shown));
	});

const ESC = "\u001b";

/**
 * What a terminal's screen shows after all that it was told: letters, and the command's few moves.
 */
function screenOf(told: string): string {
	const lines: string[][] = [[]];
	let column = 0;
	const line = () => lines.at(-1) as string[];
	for (const [token] of told.matchAll(
		new RegExp(`${ESC}\\[\\d*[a-zA-Z]|[^]`, "gu"),
	)) {
		if (token === "\n") lines.push([]);
		else if (token === "\r") column = 0;
		else if (token.endsWith("D") && token.startsWith(ESC))
			column -= Number(token.slice(2, -1));
		else if (token === `${ESC}[K`) line().length = column;
		else if (token === `${ESC}[2K`) line().fill(" ");
		else if (!token.startsWith(ESC)) line()[column++] = token;
	}
	return lines.map((letters) => letters.join("").trimEnd()).join("\n");
}

describe("asking", () => {
	it("describes a photo, in plain text where nobody looks at a terminal", async () => {
		const { code, out, err } = await minigpt4(["describe", CAT, ...SURE]);
		expect([code, err]).toEqual([0, ""]);
		expect(out).toMatch(/cat.*\n$/i);
		expect(out).not.toContain(ESC);
	});

	it("prints the whole job with --json", async () => {
		const job = await json(["describe", CAT, ...SURE]);
		expect(job).toMatchObject({
			object: "job",
			status: "succeeded",
			output: { text: expect.stringMatching(/cat/i) },
		});
		const got = await json(["jobs", "get", job.id]);
		expect(got).toEqual(job);
	});

	it("reads the image or the question from standard input", async () => {
		const photo = await readFile(CAT);
		const expected = await json(["ask", CAT, "What is this?", ...SURE]);
		for (const [args, input] of [
			[["ask", "What is this?"], photo],
			[["ask", "-", "What is this?"], photo],
			[["ask", CAT], "What is this?\n"],
			[["ask", CAT, "-"], "What is this?\n"],
		] as const) {
			const { output } = await json([...args, ...SURE], { input });
			expect(output).toEqual(expected.output);
		}
		const described = await json(["describe", ...SURE], { input: photo });
		expect(described.output.text).toMatch(/cat/i);
	});

	it("asks about several images, one of them uploaded before", async () => {
		const upload = await json(["upload", CAT]);
		expect(upload).toMatchObject({
			object: "upload",
			status: "ready",
			width: 512,
		});
		const other = join(process.cwd(), "samples/coffee.jpg");
		const job = await json([
			"ask",
			upload.id,
			other,
			"What are these?",
			...SURE,
		]);
		expect(job.usage.images).toBe(2);
		expect(job.images[0]).toEqual({ upload: upload.id });
	});

	it("goes on from an earlier job, with its image", async () => {
		const first = await json(["ask", CAT, "What is this?", ...SURE]);
		const then = await json([
			"ask",
			"--previous",
			first.id,
			"Which colour is it?",
			...SURE,
		]);
		expect(then.status).toBe("succeeded");
		expect(then.usage.prompt_tokens).toBeGreaterThan(first.usage.prompt_tokens);
	});

	it("cancels the job on Ctrl-C, once, and says so", async () => {
		const { child, ran, ended } = start([
			"ask",
			CAT,
			"Write a long story.",
			...LONG,
		]);
		// The answer shows as it is written, not when it is done.
		await eventually(() => expect(ran.out.length).toBeGreaterThan(5), {
			timeout: 60_000,
			interval: 20,
		});
		child.kill("SIGINT");
		const { code, err } = await ended;
		expect(code).toBe(130);
		const [, id] =
			/^Canceled job (\S+); it cost \$0\.00\d+\.\n$/.exec(err) ?? [];
		expect(id).toBeTruthy();
		const job = await json(["jobs", "get", id as string]);
		expect(job.status).toBe("canceled");
		expect(job.price).toBeGreaterThan(0);
	});
});

describe("jobs, models, balance", () => {
	it("are listed, followed, canceled and erased", async () => {
		const { id, output, price } = await json(["describe", CAT, ...SURE]);
		const cost = `$${(price / 1e6).toFixed(6).replace(/0+$/, "")}`;
		const listed = await minigpt4(["jobs"]);
		expect(listed.out.split("\n")[1]).toMatch(
			new RegExp(`^${id}  succeeded  nano +\\d+ s ago +\\${cost}$`),
		);
		const followed = await minigpt4(["jobs", "follow", id]);
		expect([followed.code, followed.out]).toEqual([0, `${output.text}\n`]);
		const lines = (await minigpt4(["jobs", "follow", id, "--json"])).out
			.trim()
			.split("\n")
			.map((line) => JSON.parse(line));
		expect(lines.map(({ seq }) => seq)).toEqual(lines.map((_, n) => n + 1));
		expect(lines.at(-1).type).toBe("done");
		const canceled = await minigpt4(["jobs", "cancel", id]);
		expect(canceled.out).toBe(
			`Job ${id} had ended already: succeeded, ${cost}.\n`,
		);
		expect((await minigpt4(["jobs", "delete", id])).code).toBe(0);
		const gone = await minigpt4(["jobs", "get", id]);
		expect(gone.code).toBe(1);
		expect(gone.err).toContain("job_gone");
		expect(await json(["jobs", "list", "--limit", "2"])).toHaveLength(2);
	});

	it("lists uploads, newest first", async () => {
		const { id } = await json(["upload", CAT]);
		const listed = await minigpt4(["uploads"]);
		expect(listed.out.split("\n")[1]).toMatch(
			new RegExp(`^${id}  ready +\\d+ × \\d+ +[\\d.]+ KB +\\S.* ago$`),
		);
		const [first] = await json(["uploads", "list", "--limit", "1"]);
		expect(first).toMatchObject({ id, status: "ready" });
	});

	it("shows the ledger, as a table and as CSV", async () => {
		const { out } = await minigpt4(["ledger", "--limit", "3"]);
		expect(out).toMatch(/^TIME +KIND +CHANGE +PRICE +AVAILABLE +HELD +OF$/m);
		const csv = await minigpt4(["ledger", "--csv", "--kind", "credit"]);
		expect(csv.out).toMatch(/^1,\d{4}-[^,]+,credit,,[^,]+,\d+,,\d+,0$/m);
	});

	it("shows the balance and the models", async () => {
		const { balance } = await json(["balance"]);
		const { out } = await minigpt4(["balance"]);
		expect(out).toContain(`$${balance.available / 1e6} available`);
		const [model] = await json(["models"], { more: { MINIGPT4_API_KEY: "" } });
		expect(model).toMatchObject({
			id: "nano",
			prices: { images: { rate: 100_000, per: 1_000 } },
		});
	});
});

describe("keys", () => {
	it("are made, work, and are refused once revoked", async () => {
		const made = await minigpt4(["keys", "create", "for a while"]);
		const key = made.out.trim();
		expect([made.code, key]).toEqual([
			0,
			expect.stringMatching(/^mg_live_\S+$/),
		]);
		const [, id] = /(key_\w+)/.exec(made.err) ?? [];
		const more = { MINIGPT4_API_KEY: key };
		expect((await minigpt4(["balance"], { more })).code).toBe(0);
		const listed = await minigpt4(["keys"]);
		expect(listed.out).toMatch(
			new RegExp(`^${id} +live +\\d+ s ago .* for a while$`, "m"),
		);
		expect(listed.out).toMatch(/^key_\w+ +this one /m);
		expect(listed.out).not.toContain("mg_live_");
		// It cannot administer keys, since nobody wanted that.
		const keys = await minigpt4(["keys"], { more });
		expect(keys).toMatchObject({ code: 3, out: "" });
		expect(keys.err).toContain("keys:admin");
		expect((await minigpt4(["keys", "revoke", id as string])).code).toBe(0);
		const refused = await minigpt4(["balance"], { more });
		expect(refused).toMatchObject({ code: 3, out: "" });
		expect(refused.err).toContain("revoked");
		expect(refused.err).not.toContain(key);
	});

	it("may do what --scopes says, until --expires, from --ips alone", async () => {
		const create = (...args: string[]) =>
			json(["keys", "create", "limited", ...args]);
		const reader = await create("--scopes", "jobs:read, uploads:write");
		expect(reader.scopes).toEqual(["jobs:read", "uploads:write"]);
		const brief = await create("--expires", "1d");
		expect(Date.parse(brief.expires_at) - Date.now()).toBeGreaterThan(8e7);
		const dated = await create("--expires", "2999-01-01");
		expect(dated.expires_at).toBe("2999-01-01T00:00:00.000Z");
		const refused = await minigpt4(["balance"], {
			more: { MINIGPT4_API_KEY: reader.key },
		});
		expect([refused.code, refused.err]).toEqual([
			3,
			expect.stringContaining("billing:read"),
		]);
		// Off Cloudflare nobody tells where a call comes from, unless a proxy does.
		const { key } = await create("--ips", "203.0.113.0/24,2001:db8::/32");
		const local = await minigpt4(["balance"], {
			more: { MINIGPT4_API_KEY: key },
		});
		expect([local.code, local.err]).toEqual([
			3,
			expect.stringContaining("does not work from an unknown address"),
		]);
		const from = async (ip: string) => {
			const headers = {
				Authorization: `Bearer ${key}`,
				"CF-Connecting-IP": ip,
			};
			return (await fetch(`${stack.url}/v1/account`, { headers })).status;
		};
		expect([await from("203.0.113.7"), await from("2001:db8::7")]).toEqual([
			200, 200,
		]);
		expect(await from("198.51.100.7")).toBe(403);
	});

	it("spend no more than --spend says, and `keys update` changes that", async () => {
		const made = await json([
			"keys",
			"create",
			"thrifty",
			"--spend",
			"total=0",
		]);
		expect(made.spend_limits).toEqual({ day: null, month: null, total: 0 });
		const more = { MINIGPT4_API_KEY: made.key };
		const refused = await minigpt4(["describe", CAT], { more });
		expect([refused.code, refused.err]).toEqual([
			4,
			expect.stringContaining("spend_limit_reached"),
		]);
		const args = ["keys", "update", made.id, "--spend", "day=1"];
		expect((await json(args)).spend_limits.day).toBe(1_000_000);
		const asked = ["describe", CAT, "--max-tokens", "1"];
		expect((await minigpt4(asked, { more })).code).toBe(0);
	});

	it("are rotated: the new secret works at once, the old one until the grace ends", async () => {
		const made = await json(["keys", "create", "rotated"]);
		const works = async (key: string) =>
			(await minigpt4(["balance"], { more: { MINIGPT4_API_KEY: key } })).code;
		const rotated = await minigpt4([
			"keys",
			"rotate",
			made.id,
			"--grace",
			"1h",
		]);
		const key = rotated.out.trim();
		expect(key).toMatch(/^mg_live_\S+$/);
		expect(rotated.err).toMatch(/The old one works until \d{4}-/);
		expect(rotated.err).not.toContain("mg_live_");
		expect([await works(made.key), await works(key)]).toEqual([0, 0]);
		const last = await json(["keys", "rotate", made.id, "--grace", "0"]);
		expect([await works(made.key), await works(key)]).toEqual([3, 3]);
		expect(await works(last.key)).toBe(0);
		expect((await minigpt4(["keys", "rotate", made.key])).err).toContain(
			"history",
		);
	});

	it("for a page are bound to its origin", async () => {
		const origin = "https://app.example.com";
		const key = await json(["keys", "create", "page", "--origin", origin]);
		expect(key.origins).toEqual([origin]);
		const wrong = await minigpt4([
			"keys",
			"create",
			"p",
			"--origin",
			`${origin}/`,
		]);
		expect(wrong.code).toBe(1);
		expect(wrong.err).toContain(`write \`${origin}\``);
	});
});

describe("webhooks listen", () => {
	interface Received {
		headers: IncomingHttpHeaders;
		body: string;
	}
	let receiver: Server;
	let received: Received[];
	let url: string;
	let answer = 204;
	beforeAll(async () => {
		received = [];
		receiver = createServer((request, response) => {
			let body = "";
			request.on("data", (chunk) => {
				body += chunk;
			});
			request.on("end", () => {
				received.push({ headers: request.headers, body });
				response.writeHead(answer).end();
			});
		});
		await new Promise<void>((resolve) =>
			receiver.listen(0, "127.0.0.1", resolve),
		);
		url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
	});
	afterAll(() => {
		receiver?.closeAllConnections();
		receiver?.close();
	});

	it("forwards a job's end, signed with the secret it prints, and shows the answer", async () => {
		const { child, ran, ended } = start([
			"webhooks",
			"listen",
			"--forward",
			url,
		]);
		await eventually(
			() => expect(ran.out + ran.err).toContain("Waiting"),
			30_000,
		);
		const [, secret] = /secret +(whsec_\S+)/.exec(ran.out) ?? [];
		const job = await json(["describe", CAT, ...SURE]);
		await eventually(() => expect(received).toHaveLength(1), 30_000);
		const [{ headers, body }] = received as [Received];
		const [id, time] = [headers["webhook-id"], headers["webhook-timestamp"]];
		const mac = createHmac(
			"sha256",
			Buffer.from((secret as string).slice(6), "base64"),
		)
			.update(`${id}.${time}.${body}`)
			.digest("base64");
		expect(headers["webhook-signature"]).toBe(`v1,${mac}`);
		expect(Math.abs(Number(time) - Date.now() / 1000)).toBeLessThan(60);
		expect(JSON.parse(body)).toEqual({
			type: "job.succeeded",
			timestamp: expect.any(String),
			data: job,
		});
		await eventually(() => expect(ran.out).toMatch(/job\.succeeded .*→ 204/));

		// A receiver that is broken, or not there, ends nothing.
		answer = 500;
		await json(["describe", CAT, ...SURE]);
		await eventually(() => expect(ran.out).toContain("→ 500"), 30_000);
		child.kill("SIGINT");
		const { code, err } = await ended;
		expect(code).toBe(130);
		const [, after] = /--after (\d+)/.exec(err) ?? [];

		// From a number on: what came meanwhile is not lost.
		answer = 200;
		const last = await json(["describe", CAT, ...SURE]);
		const again = start([
			"webhooks",
			"listen",
			"--forward",
			url,
			"--after",
			after as string,
			"--json",
		]);
		await eventually(
			() => expect(again.ran.out).toContain('"http_status":200'),
			30_000,
		);
		again.child.kill("SIGINT");
		const lines = (await again.ended).out
			.trim()
			.split("\n")
			.map((line) => JSON.parse(line));
		expect(JSON.parse((received[2] as Received).body).data.id).toBe(last.id);
		expect(lines[1]).toMatchObject({ type: "job.succeeded", http_status: 200 });
	});
});

describe("what goes wrong", () => {
	const free = async () => `http://127.0.0.1:${await freePort()}`;

	it.each([
		["no command", [], 2, "describe"],
		["an unknown command", ["descrbe", CAT], 2, "Is it describe?"],
		[
			"an unknown option",
			["describe", CAT, "--temprature", "1"],
			2,
			"Is it --temperature?",
		],
		[
			"an option of another command",
			["balance", "--seed", "1"],
			2,
			"takes no --seed",
		],
		[
			"a value that is no number",
			["describe", CAT, "--seed", "x"],
			2,
			"needs a number",
		],
		[
			"a file that is not there",
			["describe", "none.jpg"],
			2,
			"There is no file none.jpg",
		],
		[
			"a file that is no image",
			["describe", "package.json"],
			2,
			"no JPEG, PNG, WebP or GIF",
		],
		["a folder", ["describe", "."], 2, "is a folder"],
		[
			"a question without an image",
			["ask", "What is this?"],
			2,
			"About which image?",
		],
		["an image without a question", ["ask", CAT], 2, "Ask what"],
		[
			"a key on the command line",
			["keys", "revoke", "mg_live_x"],
			2,
			"history",
		],
		[
			"an unknown job",
			["jobs", "get", "01JD8Z6Q3V9Y4K2M7N5P8R1S3T"],
			1,
			"job_not_found",
		],
		[
			"a value out of bounds",
			["describe", CAT, "--max-tokens", "0"],
			1,
			"max_tokens",
		],
		[
			"an unknown model",
			["describe", CAT, "--model", "gpt"],
			1,
			"Choose one of: nano",
		],
	])(
		"%s: what it is, what to do, and no stack trace",
		async (_, args, exit, says) => {
			const { code, out, err } = await minigpt4(args);
			expect([code, out]).toEqual([exit, ""]);
			expect(err).toContain(says);
			expect(err).not.toMatch(/^\s+at /m);
			expect(err).not.toContain(ESC);
		},
	);

	it("no key: says how to get one", async () => {
		const { code, err } = await minigpt4(["balance"], {
			more: { MINIGPT4_API_KEY: "" },
		});
		expect(code).toBe(3);
		expect(err).toContain("npm start");
		expect(err).toContain("export MINIGPT4_API_KEY=");
	});

	it("a wrong key: says where it came from, and does not show it", async () => {
		const more = { MINIGPT4_API_KEY: `${stack.key.slice(0, -1)}!` };
		const { code, err } = await minigpt4(["describe", CAT], { more });
		expect(code).toBe(3);
		expect(err).toContain("MINIGPT4_API_KEY");
		expect(err).not.toContain(stack.key.slice(8, 40));
	});

	it("no credit: its own exit code", async () => {
		const admin = (path: string, body: object) =>
			fetch(`${stack.url}/admin/accounts${path}`, {
				method: "POST",
				headers: {
					Authorization: `Bearer ${stack.secrets.adminSecret}`,
					"Content-Type": "application/json",
				},
				body: JSON.stringify(body),
			}).then(
				(answer) => answer.json() as Promise<{ id: string; key: string }>,
			);
		const { id } = await admin("", { name: "poor" });
		const { key } = await admin(`/${id}/keys`, { name: "k" });
		const { code, err } = await minigpt4(["describe", CAT], {
			more: { MINIGPT4_API_KEY: key },
		});
		expect(code).toBe(4);
		expect(err).toContain("minigpt4 balance");
	});

	it("nobody there: which address, and what to do", async () => {
		const url = await free();
		const { code, err } = await minigpt4(["balance", "--base-url", url]);
		expect(code).toBe(5);
		expect(err).toContain(url);
		expect(err).toContain("npm start");
	});

	it("somebody else there: it is not taken for the API", async () => {
		const other = createServer((_, response) =>
			response.writeHead(404).end("<h1>Hello</h1>"),
		);
		await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
		const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
		const { code, err } = await minigpt4(["balance", "--base-url", url]);
		other.close();
		expect(code).toBe(1);
		expect(err).toContain(`Is ${url} the MiniGPT-4 API?`);
	});

	it("as JSON with --json", async () => {
		const { code, out, err } = await minigpt4([
			"jobs",
			"get",
			"none",
			"--json",
		]);
		expect([code, out]).toEqual([1, ""]);
		expect(JSON.parse(err).error).toMatchObject({
			code: "job_not_found",
			exit: 1,
			request_id: expect.stringMatching(/^req_/),
		});
	});
});

describe("on a terminal", () => {
	it("shows colours, and none with NO_COLOR", async () => {
		expect(await onTerminal("models", 80)).toContain(`${ESC}[1mnano`);
		const plain = await onTerminal("models", 80, { NO_COLOR: "1" });
		expect(plain).toContain("nano");
		expect(plain).not.toContain(ESC);
	});

	it("shows the upload, breaks the answer between words, and says what it cost", async () => {
		const shown = await onTerminal(`describe ${CAT} ${SURE.join(" ")}`, 24);
		expect(shown).toContain("100 %");
		const [answer, ...footer] = screenOf(shown).split("\n\n");
		expect(answer).toMatch(/cat/i);
		for (const line of answer?.split("\n") ?? [])
			expect(line.length).toBeLessThan(24);
		expect(footer.join()).toMatch(/\$0\.0001\d/);
	});

	it("explains itself in the width there is", async () => {
		const { out } = await minigpt4(["--help"]);
		expect(out).toContain("130");
		for (const name of ["describe", "ask", "jobs list", "webhooks listen"]) {
			expect(out).toContain(name);
			const help = await minigpt4([...name.split(" "), "--help"]);
			expect(help.code).toBe(0);
			expect(help.out).toContain(`minigpt4 ${name}`);
		}
		const narrow = await onTerminal("ask --help", 40, { NO_COLOR: "1" });
		for (const line of narrow.split(/\r?\n/))
			expect(line.length).toBeLessThanOrEqual(40);
		const { version } = JSON.parse(await readFile("sdk/package.json", "utf8"));
		expect((await minigpt4(["--version"])).out).toBe(`minigpt4 ${version}\n`);
	});
});

describe("receipts", () => {
	it("are verified without the API: receipt, keys, request and answer as files", async () => {
		const { id, output } = await json(["ask", CAT, "What is this?", ...SURE]);
		const file = async (name: string, text: string) => {
			await writeFile(join(folder, name), text);
			return name;
		};
		const receipt = await minigpt4(["receipt", "get", id]);
		const keys = await minigpt4(["receipt", "keys"]);
		const answer = await file("answer.txt", output.text);
		const verify = async (text: string, ...more: string[]) =>
			minigpt4(
				[
					"receipt",
					"verify",
					await file("receipt.json", text),
					"--keys",
					await file("keys.json", keys.out),
					...more,
				],
				{
					more: {
						MINIGPT4_BASE_URL: "http://127.0.0.1:9",
						MINIGPT4_API_KEY: "",
					},
				},
			);
		const genuine = await verify(receipt.out, "--answer", answer);
		expect([genuine.code, genuine.err]).toEqual([0, ""]);
		expect(genuine.out).toContain(`The receipt of job ${id} is genuine.`);

		const other = await verify(
			receipt.out.replace("What is this?", "What is that?"),
		);
		expect([other.code, other.err]).toEqual([
			1,
			expect.stringContaining("`request` is not what"),
		]);
		const added = await file("answer.txt", `${output.text}!`);
		const changed = await verify(receipt.out, "--answer", added);
		expect(changed.err).toContain("is not the answer");
		const { receipt: signed } = JSON.parse(receipt.out);
		const forged = await verify(
			receipt.out.replace(signed, `${signed.slice(0, -6)}AAAAAA`),
		);
		expect(forged.err).toMatch(/signature does not fit|is no receipt/);
	});
});
