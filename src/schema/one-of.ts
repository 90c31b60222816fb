import { z } from "@hono/zod-openapi";

/**
 * Any of these objects, each of which has one member that the others do not. Who sends none of these members, or several,
 * reads their names; what else is wrong with an object is told by the one that was meant.
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
