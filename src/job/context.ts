/** What the parts of a Job share: its object's storage, its alarm, its readers and its RPCs. */
import type { Backend } from "../backends/backend.ts";
import type { Lease } from "../contract/pool.ts";
import type { Alarm } from "../durable/alarm.ts";
import type { ObjectStorage } from "../durable/storage.ts";
import type { Readers } from "../stream/readers.ts";
import type { Rpcs } from "./rpcs.ts";

export interface JobContext {
	ctx: DurableObjectState;
	env: Env;
	storage: ObjectStorage;
	alarm: Alarm;
	readers: Readers;
	rpcs: Rpcs;
	/** Milliseconds since 1970. */
	clock: () => number;
	/** In [0, 1); spreads retries. */
	random: () => number;
	backend: (model: string, lease: Lease) => Backend;
	/** The most that one attempt may take, in milliseconds. */
	longestAttempt: () => number;
}
