// @ts-check
/**
 * Generates src/wire.ts: the types of the OpenAPI document that the edge serves, and its error
 * codes. The edge's app runs in this process. Replacements stand in for what only workerd has; no
 * call here reaches them.
 */
import { rename, writeFile } from "node:fs/promises";
import { registerHooks } from "node:module";
import openapiTS, { astToString } from "openapi-typescript";

const root = new URL("../../", import.meta.url);

// workerd has it, Node not yet.
Object.assign(Uint8Array.prototype, {
	/** @this {Uint8Array} */
	toHex() {
		return Buffer.from(this).toString("hex");
	},
});
registerHooks({
	resolve: (specifier, context, next) =>
		specifier === "cloudflare:workers"
			? {
					url: "data:text/javascript,export class DurableObject {}",
					shortCircuit: true,
				}
			: next(specifier, context),
});

/** @returns {Promise<import("openapi-typescript").OpenAPI3>} */
async function openapiDocument() {
	const { app } = await import(new URL("src/app.ts", root).href);
	const answer = await app.request("/openapi.json");
	if (!answer.ok) throw new Error(`/openapi.json: ${await answer.text()}`);
	return answer.json();
}

const types = await openapiTS(await openapiDocument(), {
	// A request may omit members that have a default.
	defaultNonNullable: false,
});
/** @type {{ FAILURES: Record<string, object> }} */
const { FAILURES } = await import(new URL("src/failures.ts", root).href);
const codes = Object.keys(FAILURES).map((code) => `\n\t| "${code}"`);
const file = new URL("../src/wire.ts", import.meta.url);
const made = new URL(`../src/wire.ts.${process.pid}`, import.meta.url);
await writeFile(
	made,
	`${astToString(types)}
/** Every \`code\` that an error answer of the API may have. */
export type ErrorCode =${codes.join("")};
`,
);
// Who reads it meanwhile finds it whole.
await rename(made, file);
