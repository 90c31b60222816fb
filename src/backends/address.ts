/** Where a model is served, and the backend that speaks what is spoken there. */
import type { Address } from "../models.ts";
import type { Backend } from "./backend.ts";
import { probeReplicate, ReplicateBackend } from "./replicate.ts";
import { GpuWorker, type Probed, probe as probeWorker } from "./worker.ts";

export const backendAt = (address: Address): Backend =>
	"replicate" in address
		? new ReplicateBackend(address)
		: new GpuWorker(address);

/** Asks whether requests can be sent there. Never throws. */
export const probe = (address: Address): Promise<Probed> =>
	"replicate" in address ? probeReplicate(address) : probeWorker(address);
