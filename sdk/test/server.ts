/** A real HTTP server on this machine that answers as a test says, and records its requests. */
import { once } from "node:events";
import {
	createServer,
	type IncomingMessage,
	type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { type ClientOptions, MiniGPT4 } from "../src/index.ts";

export interface RecordedRequest {
	method: string;
	path: string;
	headers: IncomingMessage["headers"];
	body: Buffer;
	at: number;
}

export type Answer = (
	asked: RecordedRequest,
	response: ServerResponse,
	/** Requests before this one. */
	n: number,
) => unknown;

export interface TestServer {
	url: string;
	port: number;
	asked: RecordedRequest[];
	/** Connections that the client closed before they were answered. */
	hungUp: () => number;
	stop: () => Promise<void>;
}

export async function serve(answer: Answer, port = 0): Promise<TestServer> {
	const asked: RecordedRequest[] = [];
	let hungUp = 0;
	const server = createServer(async (request, response) => {
		response.on("close", () => {
			if (!response.writableFinished) hungUp++;
		});
		const chunks: Buffer[] = [];
		try {
			for await (const chunk of request) chunks.push(chunk);
		} catch {
			return; // the client left
		}
		const one = {
			method: request.method ?? "",
			path: request.url ?? "",
			headers: request.headers,
			body: Buffer.concat(chunks),
			at: Date.now(),
		};
		await answer(one, response, asked.push(one) - 1);
	});
	server.listen(port, "127.0.0.1");
	await once(server, "listening");
	const stop = async () => {
		if (!server.listening) return;
		server.close();
		server.closeAllConnections();
		await once(server, "close");
	};
	onTestFinished(stop);
	const address = server.address() as AddressInfo;
	return {
		url: `http://127.0.0.1:${address.port}`,
		port: address.port,
		asked,
		hungUp: () => hungUp,
		stop,
	};
}

export const clientOf = (
	{ url }: { url: string },
	options: ClientOptions = {},
): MiniGPT4 =>
	new MiniGPT4({ apiKey: "mg_live_test", baseURL: url, ...options });

export function json(
	response: ServerResponse,
	status: number,
	body: object,
	headers: Record<string, string> = {},
): void {
	response.writeHead(status, {
		"Content-Type": "application/json",
		...headers,
	});
	response.end(JSON.stringify(body));
}

/** Answers with problem details, as the API does. */
export const problem = (
	response: ServerResponse,
	status: number,
	code: string,
	headers: Record<string, string> = {},
): void =>
	json(
		response,
		status,
		{ code, status, detail: `It is ${code}.`, request_id: "req_1" },
		headers,
	);
