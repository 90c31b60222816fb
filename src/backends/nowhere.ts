import { type Backend, BackendError } from "./backend.ts";

/** Where a lease points that the configuration does not know any more: whoever was there is gone. */
export const unknownWorker: Backend = {
	continues: true,
	generate() {
		throw new BackendError("unreachable", "the model is not served there");
	},
};
