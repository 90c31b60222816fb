/** Unions whose errors name the members to choose from. */
import { z } from "@hono/zod-openapi";

/**
 * A union of objects that each have one member of their own. If a value has none of these members,
 * or several, the error names them all. Otherwise it comes from the schema whose member the value
 * has.
 */
export const oneOf = <
	const Options extends readonly [z.ZodObject, z.ZodObject, ...z.ZodObject[]],
>(
	options: Options,
) => {
	const names = options.flatMap(({ shape }) => Object.keys(shape));
	return z.union(options, {
		error: ({ input }) =>
			typeof input === "object" &&
			input !== null &&
			names.filter((name) => Object.hasOwn(input, name)).length !== 1
				? `needs exactly one of ${names.map((name) => `\`${name}\``).join(" and ")}`
				: undefined,
	});
};
