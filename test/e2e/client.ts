/** A caller of the API, as small as one can be: what it sees is what went over the wire. */

export interface Seen {
	seq: number;
	type: string;
	// biome-ignore lint/suspicious/noExplicitAny: the wire is what these tests look at
	data: any;
	raw: string;
}

export class Client {
	readonly #url: string;
	readonly #key: string;

	constructor(url: string, key: string) {
		this.#url = url;
		this.#key = key;
	}

	call(path: string, init: RequestInit = {}): Promise<Response> {
		return fetch(`${this.#url}/v1${path}`, {
			...init,
			headers: { ...init.headers, Authorization: `Bearer ${this.#key}` },
		});
	}

	// biome-ignore lint/suspicious/noExplicitAny: the wire is what these tests look at
	async get(path: string): Promise<any> {
		const answer = await this.call(path);
		if (!answer.ok)
			throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`);
		return answer.json();
	}

	post(path: string, body: unknown, headers = {}): Promise<Response> {
		return this.call(path, {
			method: "POST",
			body: JSON.stringify(body),
			headers: { "Content-Type": "application/json", ...headers },
		});
	}

	/** A job's id. */
	async create(body: object): Promise<string> {
		const answer = await this.post("/jobs", body);
		// biome-ignore lint/suspicious/noExplicitAny: the wire is what these tests look at
		const job: any = await answer.json();
		if (answer.status !== 202)
			throw new Error(`POST /jobs: ${answer.status} ${JSON.stringify(job)}`);
		return job.id;
	}

	/** Events after `after` until the stream ends, breaks, or `until` says so. */
	async events(
		id: string,
		after = 0,
		until: (event: Seen) => boolean = () => false,
	): Promise<Seen[]> {
		const answer = await this.call(`/jobs/${id}/events`, {
			headers: { "Last-Event-ID": String(after) },
		});
		if (answer.status !== 200)
			throw new Error(`events: ${answer.status} ${await answer.text()}`);
		return read(answer, until);
	}

	/** Micro-USD. */
	async balance(): Promise<{ available: number; held: number }> {
		return (await this.get("/account")).balance;
	}
}

/** Reads server-sent events as they come; a connection that breaks ends the list. */
export async function read(
	answer: Response,
	until: (event: Seen) => boolean = () => false,
): Promise<Seen[]> {
	const seen: Seen[] = [];
	let text = "";
	try {
		const decoded = (answer.body as ReadableStream<Uint8Array>).pipeThrough(
			new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
		);
		for await (const piece of decoded) {
			text += piece;
			const frames = text.split("\n\n");
			text = frames.pop() ?? "";
			for (const frame of frames) {
				// Comments and `retry` lines may come ahead of an event.
				const [raw = "", seq, type, data] =
					/^id: (\d+)\nevent: (\S+)\ndata: (.*)$/ms.exec(frame) ?? [];
				if (!seq || !type || !data) continue;
				const event = { seq: Number(seq), type, data: JSON.parse(data), raw };
				seen.push(event);
				if (until(event)) return seen;
			}
		}
	} catch {} // the wire broke: what came is what there is
	return seen;
}

export const textOf = (seen: Seen[]): string =>
	seen
		.filter(({ type }) => type === "token")
		.map(({ data }) => data.text)
		.join("");
