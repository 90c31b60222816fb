/** Receivers of webhooks on public names, reached as from anywhere: looked up, then posted to. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach } from "vitest";
import type { Endpoint } from "../../src/endpoint/endpoint.ts";
import { endpointOf } from "../../src/objects.ts";
import { bindings, type TestAccount } from "./account.ts";
import { edge } from "./edge.ts";

/** A message as it came. */
export interface Received {
	id: string;
	/** Milliseconds since 1970, on the receiver's clock. */
	at: number;
	headers: Record<string, string>;
	body: string;
	// biome-ignore lint/suspicious/noExplicitAny: the wire is what these tests look at
	message: any;
}

type Answer = number | Response | Promise<Response>;

export class Receiver {
	readonly url: string;
	readonly received: Received[] = [];
	/** What it answers; throws where nobody is there. */
	answer: (received: Received) => Answer;

	constructor(host: string, answer: Receiver["answer"] = () => 200) {
		this.url = `https://${host}/hook`;
		this.answer = answer;
		receivers.set(host, this);
	}

	/** The jobs and types that it accepted, in order. */
	readonly accepted: string[] = [];

	async take(request: Request): Promise<Response> {
		const body = await request.text();
		const headers = Object.fromEntries(request.headers);
		const message = JSON.parse(body);
		const id = headers["webhook-id"] ?? "";
		const received = { id, at: clock(), headers, body, message };
		this.received.push(received);
		const answer = await this.answer(received);
		const response =
			typeof answer === "number"
				? new Response(null, { status: answer })
				: answer;
		if (response.ok) this.accepted.push(id);
		return response;
	}
}

const receivers = new Map<string, Receiver>();
/** Addresses of names; others have a public one. */
export const names = new Map<string, string[]>();
/** Every request that left, DNS aside. */
export const outside: string[] = [];

const elsewhere = globalThis.fetch;
globalThis.fetch = async (input, init) => {
	const url = new URL(input instanceof Request ? input.url : String(input));
	if (url.hostname === "cloudflare-dns.com") {
		const name = url.searchParams.get("name") ?? "";
		const found = names.get(name) ?? ["93.184.216.34"];
		const v4 = url.searchParams.get("type") === "A";
		return Response.json({
			Status: 0,
			Answer: found
				.filter((address) => address.includes(".") === v4)
				.map((data) => ({ type: v4 ? 1 : 28, data })),
		});
	}
	outside.push(url.href);
	const receiver = receivers.get(url.hostname);
	if (receiver)
		return receiver.take(
			new Request(input as RequestInfo, init as RequestInit),
		);
	// Those of a test that is over: nothing leaves the machine.
	if (url.hostname.endsWith(".example.org"))
		throw new TypeError(`no way to ${url.hostname}`);
	return elsewhere(input, init);
};

/** How far the test's clock is ahead of the real one. */
let ahead = 0;
export const clock = () => Date.now() + ahead;

afterEach(() => {
	ahead = 0;
	receivers.clear();
	names.clear();
	outside.length = 0;
});

/** Lets so much time pass for every object that is told of it. */
export const pass = (ms: number): void => {
	ahead += ms;
};

// biome-ignore lint/suspicious/noExplicitAny: the wire is what these tests look at
type Wire = any;

/** A call of the API, and its answer. */
export async function api(
	account: TestAccount,
	method: string,
	path: string,
	body?: unknown,
): Promise<Wire> {
	const answer = await edge.fetch(`http://edge.test/v1${path}`, {
		method,
		headers: {
			Authorization: `Bearer ${account.key}`,
			...(body === undefined ? {} : { "Content-Type": "application/json" }),
		},
		body: body === undefined ? null : JSON.stringify(body),
	});
	return answer.status === 204 ? null : answer.json();
}

export const endpointStub = (account: TestAccount, id: string) =>
	endpointOf(bindings, account.id, id);

/** The account's clock is the test's. */
export const onClock = ({ stub }: TestAccount): Promise<void> =>
	runInDurableObject(stub, (object) => {
		object.clock = clock;
	});

/** The account tells its endpoints, and this one does what is due, by the test's clock. */
export async function ring(account: TestAccount, id: string): Promise<void> {
	await onClock(account);
	await runDurableObjectAlarm(account.stub);
	const stub = endpointStub(account, id);
	await runInDurableObject(stub, (object: Endpoint) => {
		object.clock = clock;
		object.random = () => 0;
	});
	await runDurableObjectAlarm(stub);
}

/** When the endpoint rings next by its own account; null for never. */
export const alarmOf = (account: TestAccount, id: string) =>
	runInDurableObject(endpointStub(account, id), (_, { storage }) =>
		storage.getAlarm(),
	);
