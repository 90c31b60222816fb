// @ts-check
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/** @param {number} port @returns {Promise<number>} the port that was bound for a moment */
async function tryPort(port) {
	const server = createServer();
	server.listen({ port, host: "127.0.0.1" });
	await once(server, "listening");
	const address = server.address();
	server.close();
	await once(server, "close");
	return typeof address === "object" && address ? address.port : port;
}

/**
 * Below the ports that systems hand out by themselves, from 32768 or 49152: nobody is given one
 * between our look and our use.
 */
const FROM = 20_000;
const BELOW = 32_768;
/** @type {Set<number>} */
const given = new Set();

/** @returns {Promise<number>} a port that nobody listens on at the moment, another one each time */
export async function freePort() {
	for (;;) {
		const port = randomInt(FROM, BELOW);
		if (given.has(port)) continue;
		given.add(port);
		try {
			return await tryPort(port);
		} catch (error) {
			const { code } = /** @type {NodeJS.ErrnoException} */ (error);
			if (code !== "EADDRINUSE") throw error;
		}
	}
}

/**
 * @typedef {object} Wanted
 * @property {string} who what is to listen there
 * @property {number} port
 * @property {string} flag how to choose another one on the command line
 * @property {string} variable how to choose another one in the environment
 */

/**
 * Throws an error that names each port we cannot have, and the way out.
 * @param {Wanted[]} wanted
 */
export async function requirePorts(wanted) {
	const problems = [];
	for (const [n, { who, port, flag, variable }] of wanted.entries()) {
		const wayOut = `choose another: npm start -- ${flag} <port> (or ${variable}=<port>)`;
		const twin = wanted.slice(0, n).find((other) => other.port === port);
		if (twin) {
			problems.push(
				`Port ${port} is given to both the ${twin.who} and the ${who}; ${wayOut}`,
			);
			continue;
		}
		try {
			await tryPort(port);
		} catch (error) {
			const code = /** @type {NodeJS.ErrnoException} */ (error).code;
			const why =
				code === "EADDRINUSE"
					? "is taken by another program"
					: `cannot be opened (${code})`;
			problems.push(
				`Port ${port}, for the ${who}, ${why}. Free it, or ${wayOut}`,
			);
		}
	}
	if (problems.length > 0) throw new Error(problems.join("\n"));
}
