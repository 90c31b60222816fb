/**
 * From the address at which a model is served to the backend that speaks the protocol there.
 *
 * Runs in the Pool and Job objects, as all of backends/ does; replicate.ts in the Worker too.
 */
import type { Address } from "../models.ts";
import { type Backend, BackendError } from "./backend.ts";
import { probeReplicate, ReplicateBackend } from "./replicate.ts";
import { GpuWorker, type ProbeResult, probe as probeWorker } from "./worker.ts";

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
