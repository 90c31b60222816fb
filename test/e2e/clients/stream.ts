/** What all parsers are given, and hear. */

/** A stream of ours, and what ends the reading of it: an event's name, or its data. */
export interface Stream {
	url: string;
	key: string;
	/** POSTed; without one it is a GET. */
	body?: object;
	until: string;
}

/** Name and data of each event. Chat's last one is no JSON, and null here. */
export type Heard = [name: string, data: unknown][];

/** What every user of a parser writes. @throws SyntaxError where the data is none */
export const understood = (data: string): unknown =>
	data === "[DONE]" ? null : JSON.parse(data);

export const requestOf = ({ key, body }: Stream) => ({
	method: body ? "POST" : "GET",
	headers: {
		Authorization: `Bearer ${key}`,
		Accept: "text/event-stream",
		...(body && { "Content-Type": "application/json" }),
	},
	...(body && { body: JSON.stringify(body) }),
});
