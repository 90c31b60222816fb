import { type Backend, BackendError } from "./backend.ts";

/** Where a lease points that the configuration does not know any more: whoever was there is gone. */
export const nowhere: Backend = {
	continues: true,
	generate() {
		throw new BackendError("unreachable", "the model is not served there");
	},
};
