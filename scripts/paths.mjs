// @ts-check
/**
 * Where things lie. What set-up makes is shared by every run; what a run keeps lies in its own
 * state folder.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** The one folder that git ignores and set-up fills; also the default state folder of a run. */
export const state = join(root, ".state");
export const gpuWorker = join(root, "gpu-worker");

/** The Node that the `node` package brings: wrangler refuses the one that npm itself may run on. */
export const node = join(root, "node_modules", "node", "bin", "node");
/** The edge's Worker, as set-up bundles it. */
export const bundle = join(state, "bundle");
/** Photos to ask about. */
export const samples = join(root, "samples");
/** The S3 server that the tests hold the bucket against. */
export const versitygw = join(state, "bin", "versitygw");
export const stripeMock = join(state, "bin", "stripe-mock");
export const venv = join(gpuWorker, ".venv");
export const worker = join(venv, "bin", "minigpt4-worker");
/** Where set-up puts the checkpoint of an embedded model. @param {string} model */
export const checkpointOf = (model) => join(state, "models", model);
export const nano = checkpointOf("nano");
const clientsState = join(state, "clients");
/** Of others, which the tests run against the API. */
export const clients = {
	environment: join(clientsState, "python"),
	python: join(clientsState, "python", "bin", "python"),
	llm: join(clientsState, "python", "bin", "llm"),
	go: join(clientsState, "openai-go"),
};
/** Scalar's script, beside the page that runs it. */
export const apiReference = join(
	root,
	"src/playground/public/docs/reference.js",
);
