/** Clients that send a large body, each in its own way, and what they get to read. */
import { type ChildProcess, spawn } from "node:child_process";
import { connect } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { root, venv } from "../../scripts/paths.mjs";

/** A request whose body is `bytes` long, of nothing in particular. */
export interface Sent {
	method: string;
	url: string;
	headers: Record<string, string>;
	bytes: number;
	/** Whether it says how long it is, or comes in chunks. */
	chunked: boolean;
}

/** Status and body, or what went wrong instead: what a caller would have to make do with. */
export type Read = string;

/** @returns what each of so many tries got to read */
export type Sender = (sent: Sent, tries: number) => Promise<Read[]>;

const CHUNK = Buffer.alloc(64 * 1024, "x");

function* chunksOf(bytes: number): Generator<Buffer> {
	for (let left = bytes; left > 0; left -= CHUNK.length)
		yield CHUNK.subarray(0, Math.min(left, CHUNK.length));
}

async function times(
	tries: number,
	once: () => Promise<Read>,
): Promise<Read[]> {
	const seen: Read[] = [];
	for (let n = 0; n < tries; n++)
		seen.push(await once().catch((error) => `${error} (${error.cause ?? ""})`));
	return seen;
}

const curl: Sender = ({ method, url, headers, bytes, chunked }, tries) =>
	times(tries, async () => {
		const child = spawn("curl", [
			"--silent",
			"--show-error",
			"--max-time",
			"60",
			"-X",
			method,
			"--write-out",
			"%{stderr}%{http_code}",
			"--data-binary",
			"@-",
			url,
			...Object.entries(headers).flatMap(([name, value]) => [
				"-H",
				`${name}: ${value}`,
			]),
			...(chunked ? ["-H", "Transfer-Encoding: chunked"] : []),
		]);
		child.stdin.on("error", () => {}); // it read enough
		child.stdin.end(Buffer.alloc(bytes, "x"));
		const [body, status] = await outputOf(child);
		return `${status} ${body}`;
	});

const nodeFetch: Sender = ({ method, url, headers, bytes, chunked }, tries) =>
	times(tries, async () => {
		const answer = await fetch(url, {
			method,
			headers,
			body: chunked
				? Readable.toWeb(Readable.from(chunksOf(bytes)))
				: new Uint8Array(bytes),
			duplex: "half",
		} as RequestInit);
		return `${answer.status} ${await answer.text()}`;
	});

const requests: Sender = async (sent, tries) => {
	const child = spawn(join(venv, "bin", "python"), [
		join(root, "test/e2e/requests_client.py"),
		JSON.stringify(sent),
		String(tries),
	]);
	const [seen, problem] = await outputOf(child);
	if (problem) throw new Error(problem);
	return JSON.parse(seen) as Read[];
};

/** Writes all of it before it reads anything, as simple clients do. */
const socket: Sender = (sent, tries) =>
	times(
		tries,
		() =>
			new Promise((resolve, reject) => {
				const { method, headers, bytes, chunked } = sent;
				const { hostname, port, host, pathname } = new URL(sent.url);
				const wire = connect(Number(port), hostname);
				let text = "";
				let written = false;
				wire.setEncoding("utf8");
				wire.on("error", reject);
				wire.on("data", (data) => {
					text += data;
					look();
				});
				wire.on("end", () =>
					reject(new Error(`ended after ${text.length} characters`)),
				);
				/** A whole answer, once all was written. */
				const look = () => {
					const [head = "", body] = text.split("\r\n\r\n", 2);
					const [, length] = /^content-length: (\d+)$/im.exec(head) ?? [];
					if (!written || body === undefined || body.length < Number(length))
						return;
					wire.destroy();
					resolve(`${head.split(" ", 2)[1]} ${body}`);
				};
				const line = `${method} ${pathname} HTTP/1.1\r\nHost: ${host}\r\n`;
				const said = Object.entries({
					...headers,
					...(chunked
						? { "Transfer-Encoding": "chunked" }
						: { "Content-Length": bytes }),
				}).map(([name, value]) => `${name}: ${value}\r\n`);
				wire.write(`${line}${said.join("")}\r\n`);
				const chunks = chunksOf(bytes);
				const next = () => {
					const { done, value } = chunks.next();
					if (done) {
						if (chunked) wire.write("0\r\n\r\n");
						written = true;
						look();
						return;
					}
					if (chunked) wire.write(`${value.length.toString(16)}\r\n`);
					wire.write(value, next);
					if (chunked) wire.write("\r\n");
				};
				next();
			}),
	);

/** @returns what it wrote to its outputs, once it has ended */
function outputOf(child: ChildProcess): Promise<[string, string]> {
	const texts: [string, string] = ["", ""];
	for (const [n, stream] of [child.stdout, child.stderr].entries())
		stream?.setEncoding("utf8").on("data", (data) => {
			texts[n] += data;
		});
	return new Promise((resolve, reject) => {
		child.on("error", reject);
		child.on("close", () => resolve(texts));
	});
}

export const SENDERS: Record<string, Sender> = {
	curl,
	"Node's fetch": nodeFetch,
	"Python's requests": requests,
	"a socket": socket,
};
