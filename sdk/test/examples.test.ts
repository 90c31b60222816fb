/**
 * Every public method has an `@example`, and every example compiles. test/e2e/samples.test.ts runs
 * them.
 */
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { examplesOf } from "../../test/e2e/fenced.ts";

const sdk = join(import.meta.dirname, "..");
const index = join(sdk, "src/index.ts");
const options: ts.CompilerOptions = {
	...ts.parseJsonConfigFileContent(
		ts.readConfigFile(join(sdk, "tsconfig.json"), ts.sys.readFile).config,
		ts.sys,
		sdk,
	).options,
	paths: { minigpt4: [index] },
};
const program = ts.createProgram([index], options);
const checker = program.getTypeChecker();
const sources = program
	.getSourceFiles()
	.filter(
		({ fileName }) =>
			fileName.startsWith(join(sdk, "src/")) &&
			basename(fileName) !== "wire.ts",
	);

const hasTag = (node: ts.Node, name: string): boolean =>
	ts.getJSDocTags(node).some(({ tagName }) => tagName.text === name);
const isPublic = (node: ts.Declaration): boolean =>
	!hasTag(node, "internal") &&
	!(ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Private);

/** The classes of the package's declarations, exported to callers or reached through the client. */
const classes = sources
	.flatMap(({ statements }) => [...statements])
	.filter(ts.isClassDeclaration)
	.filter(isPublic);
/** What `index.ts` exports for callers to call: functions, and objects of functions. */
const functions = checker
	.getExportsOfModule(
		checker.getSymbolAtLocation(
			program.getSourceFile(index) as ts.SourceFile,
		) as ts.Symbol,
	)
	.flatMap((symbol) => {
		const alias = symbol.flags & ts.SymbolFlags.Alias;
		const target = alias ? checker.getAliasedSymbol(symbol) : symbol;
		const { valueDeclaration } = target;
		if (!valueDeclaration || ts.isClassDeclaration(valueDeclaration)) return [];
		const type = checker.getTypeOfSymbol(target);
		return [type, ...type.getProperties().map(checker.getTypeOfSymbol)];
	})
	.flatMap((type) => type.getCallSignatures())
	.map((signature) => signature.declaration as ts.SignatureDeclaration)
	.filter(isPublic);

/** The methods that callers call, as `Class.method`; not the iterators, which `for await` calls. */
const methods = classes.flatMap((owner) =>
	owner.members
		.filter(
			(member) =>
				member.name !== undefined &&
				ts.isIdentifier(member.name) &&
				isPublic(member) &&
				checker.getTypeAtLocation(member).getCallSignatures().length > 0,
		)
		.map(
			(member) =>
				[`${owner.name?.text}.${member.name?.getText()}`, member] as const,
		),
);

describe("there is an example of", () => {
	it.each(methods)("%s", (name, method) => {
		// `client.webhooks.verify` is the function of the same name.
		if (name !== "Webhooks.verify")
			expect(hasTag(method, "example")).toBe(true);
	});
	it.each(functions.map((each) => [each.name?.getText(), each] as const))(
		"%s()",
		(_, each) => expect(hasTag(each, "example")).toBe(true),
	);
	it.each(["MiniGPT4", "JobStream", "Paged", "APIError", "JobError"])(
		"%s",
		(name) => {
			const named = classes.find((each) => each.name?.text === name);
			expect(named && hasTag(named, "example")).toBe(true);
		},
	);
	it("all that the client offers", () => {
		expect(methods.length).toBeGreaterThan(30);
		expect(functions.map(({ name }) => name?.getText())).toContain("ulid");
	});
});

it("the examples compile", async () => {
	const files = new Map<string, string>();
	for (const { fileName } of sources)
		for (const { line, code } of examplesOf(await readFile(fileName, "utf8")))
			files.set(join(sdk, `${basename(fileName, ".ts")}-${line}.ts`), code);
	expect(files.size).toBeGreaterThan(30);
	const host = ts.createCompilerHost(options);
	const { fileExists, getSourceFile } = host;
	host.fileExists = (path) => files.has(path) || fileExists(path);
	host.getSourceFile = (path, target, ...rest) => {
		const code = files.get(path);
		return code === undefined
			? getSourceFile(path, target, ...rest)
			: ts.createSourceFile(path, `${code}\nexport {};\n`, target);
	};
	const examples = ts.createProgram([...files.keys()], options, host);
	const problems = ts
		.getPreEmitDiagnostics(examples)
		.map(
			({ file, messageText }) =>
				`${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`,
		);
	expect(problems).toEqual([]);
});
