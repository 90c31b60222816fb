/** The faults that the fake worker can play. n counts the tokens of the attempt. */
import type { Code } from "./fake-worker-protocol.ts";

export type Fault =
	/** An error instead of the stream; with `after`, an `error` event after n tokens. */
	| { error: Code; after?: number; field?: string }
	/** The connection breaks after n tokens; without `after` it is refused. */
	| { break: true; after?: number }
	/** The request is accepted, and no response comes. */
	| { mute: true }
	/** No byte and no end comes after n tokens; with `pings`, only pings. */
	| { silent: true; after: number; pings?: true }
	/** The stream breaks or ends after n bytes, or inside its first character of several bytes. */
	| { cut: number | "character"; how: "break" | "end" }
	/** Each token is delayed by so many milliseconds. */
	| { slow: number }
	/** The event after n tokens comes twice. */
	| { twice: true; after: number }
	/** The event after n tokens never comes. */
	| { lost: true; after: number }
	/** `done` reports so many more output tokens than were sent. */
	| { miscount: number }
	/** The worker sends so many tokens more than `max_tokens`, if the script has them. */
	| { excess: number }
	/**
	 * The event after n tokens has invalid ids, or ids of another text; then the connection breaks.
	 */
	| { ids: "invalid" | "foreign"; after: number }
	/** The stream ends without `done`. */
	| { unfinished: true }
	/** These bytes come between the events, after n tokens. */
	| { garbage: Uint8Array | string; after: number }
	/** An HTML page with this status comes in the worker's place. */
	| { page: number };

type KeysOf<F> = F extends unknown ? keyof F : never;
/** The member that names a fault. */
export type FaultKind = Exclude<
	KeysOf<Fault>,
	"after" | "field" | "how" | "pings"
>;

/** At least one fault of each kind, by what the worker does. */
export const FAULTS = {
	"is overloaded": { error: "overloaded" },
	"is starting": { error: "starting" },
	"is draining": { error: "draining" },
	"has an engine that failed": { error: "engine_failed" },
	"cannot fetch an image": { error: "image_unavailable", field: "images[0]" },
	"refuses the key": { error: "unauthorized" },
	"serves another model": { error: "model_not_found" },
	"calls the request wrong": { error: "invalid_request", field: "temperature" },
	"loses its engine mid-answer": { error: "engine_failed", after: 3 },
	"drains mid-answer": { error: "draining", after: 3 },
	"is not there": { break: true },
	"dies before the first token": { break: true, after: 0 },
	"dies mid-answer": { break: true, after: 3 },
	"never answers": { mute: true },
	"falls silent before the first token": { silent: true, after: 0 },
	"falls silent mid-answer": { silent: true, after: 3 },
	"pings on and says nothing": { silent: true, after: 3, pings: true },
	"dies after some bytes": { cut: 300, how: "break" },
	"dies inside a character": { cut: "character", how: "break" },
	"ends its stream after some bytes": { cut: 300, how: "end" },
	"ends its stream inside a character": { cut: "character", how: "end" },
	"is slow": { slow: 100 },
	"repeats an event": { twice: true, after: 3 },
	"drops an event": { lost: true, after: 3 },
	"counts too many tokens": { miscount: 1_000 },
	"counts too few tokens": { miscount: -2 },
	"sends more tokens than asked": { excess: 3 },
	"sends ids that are none": { ids: "invalid", after: 3 },
	"sends ids of another text": { ids: "foreign", after: 3 },
	"ends without `done`": { unfinished: true },
	"sends data that is not JSON": {
		garbage: "event: token\ndata: {\n\n",
		after: 3,
	},
	"sends events of its own": {
		garbage: "event: weather\ndata: {}\n\nid: 7\nretry: 1\n\n",
		after: 3,
	},
	// No end of line follows, so that the next event is not recognized.
	"sends bytes that swallow an event": {
		garbage: Uint8Array.of(0xff, 0xfe, 0x00),
		after: 3,
	},
	"is hidden by an error page": { page: 502 },
	"is hidden by a page that says 200": { page: 200 },
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;

export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[];
