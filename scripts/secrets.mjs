// @ts-check
/**
 * The secrets of one local deployment: made once, kept in its state folder, readable by its owner.
 */
import { randomBytes } from "node:crypto";
import {
	chmodSync,
	existsSync,
	mkdirSync,
	readFileSync,
	writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

/**
 * @typedef {object} Secrets
 * @property {string} adminSecret opens the admin routes
 * @property {string} keySecret signs the tags of API keys
 * @property {string} s3AccessKey
 * @property {string} s3SecretKey
 * @property {string} workerKey what the edge shows the GPU worker
 */

/** Writes a file that only its owner can read. @param {string} path @param {string} text */
export function writePrivate(path, text) {
	mkdirSync(dirname(path), { recursive: true });
	writeFileSync(path, text, { mode: 0o600 });
	chmodSync(path, 0o600); // the mode above counts only for a new file
}

/** @param {string} state @returns {Secrets} */
export function secretsOf(state) {
	const path = join(state, "secrets.json");
	const known = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {};
	const secret = () => randomBytes(32).toString("base64url");
	const secrets = {
		adminSecret: secret(),
		keySecret: secret(),
		s3AccessKey: randomBytes(10).toString("hex"),
		s3SecretKey: secret(),
		workerKey: secret(),
		...known,
	};
	if (Object.keys(secrets).length !== Object.keys(known).length) {
		writePrivate(path, `${JSON.stringify(secrets, null, "\t")}\n`);
	}
	return secrets;
}
