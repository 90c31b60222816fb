// @ts-check
/**
 * Generates src/wire.ts: the types of the OpenAPI document that the edge serves, and the union of
 * its error codes. The edge's app runs in this process. Replacements stand in for what only workerd
 * has; no call here reaches them.
 */
import { rename, writeFile } from "node:fs/promises";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";

const root = new URL("../../", import.meta.url);

// workerd has this method; Node does not yet.
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

/** Reads the codes from the edge's union of failures. */
function errorCodes() {
	const file = fileURLToPath(new URL("src/errors.ts", root));
	const program = ts.createProgram([file], { noLib: true, strict: true });
	const checker = program.getTypeChecker();
	const source = /** @type {ts.SourceFile} */ (program.getSourceFile(file));
	const alias = source.statements.find(
		(statement) =>
			ts.isTypeAliasDeclaration(statement) &&
			statement.name.text === "FailureCode",
	);
	const type = alias && checker.getTypeAtLocation(alias);
	if (!type?.isUnion()) throw new Error(`${file} has no union FailureCode`);
	return type.types.map((member) => {
		if (!member.isStringLiteral()) throw new Error("a code is no literal");
		return member.value;
	});
}

const types = await openapiTS(await openapiDocument(), {
	// A request may omit members that have a default.
	defaultNonNullable: false,
});
const codes = errorCodes().map((code) => `\n\t| ${JSON.stringify(code)}`);
const file = new URL("../src/wire.ts", import.meta.url);
const draft = new URL(`../src/wire.ts.${process.pid}`, import.meta.url);
await writeFile(
	draft,
	`${astToString(types)}
/** Every \`code\` that an error answer of the API may have. */
export type ErrorCode =${codes.join("")};
`,
);
// Renames, so that whoever reads the file at the same time finds it whole.
await rename(draft, file);
