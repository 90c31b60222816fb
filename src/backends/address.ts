/**
 * From the address at which a model is served to the backend that speaks the protocol there.
 *
 * Runs in the Pool and Job objects, as all of backends/ does; replicate.ts, and the count of a
 * prompt, in the Worker too.
 */
import type { Message } from "../contract/job.ts";
import type { Address, WorkerAddress } from "../models.ts";
import { type Backend, BackendError } from "./backend.ts";
import { probeReplicate, ReplicateBackend } from "./replicate.ts";
import {
	countTokens,
	GpuWorker,
	type ProbeResult,
	probe as probeWorker,
} from "./worker.ts";

export const backendAt = (address: Address): Backend =>
	"replicate" in address
		? new ReplicateBackend(address)
		: new GpuWorker(address);

/** The backend of a lease whose address the configuration no longer contains. */
export const unknownWorker: Backend = {
	continues: true,
	generate() {
		throw new BackendError("unreachable", "the model is not served there");
	},
};

/** Asks whether the address accepts requests. Never throws. */
export const probe = (address: Address): Promise<ProbeResult> =>
	"replicate" in address ? probeReplicate(address) : probeWorker(address);

/** The replicas that are asked to count a prompt before nobody is. */
const COUNTING_TRIES = 2;

/**
 * The tokens of a conversation, as a worker of the model counts them; null where none does. Never
 * throws.
 */
export async function countPrompt(
	addresses: readonly Address[],
	model: string,
	messages: readonly Message[],
): Promise<number | null> {
	const workers = addresses.filter(
		(address): address is WorkerAddress => !("replicate" in address),
	);
	const first = Math.floor(Math.random() * workers.length);
	const inTurn = [...workers.slice(first), ...workers.slice(0, first)];
	for (const worker of inTurn.slice(0, COUNTING_TRIES)) {
		const tokens = await countTokens(worker, model, messages);
		if (tokens !== null) return tokens;
	}
	return null;
}
