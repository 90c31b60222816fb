// @ts-check
/** The curl command that makes the same call as the page. */

/** Quotes a word for a POSIX shell. @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** @param {string} origin @param {string} key @param {object} job */
export const curl = (origin, key, job) =>
	[
		`curl -N ${origin}/v1/jobs`,
		`-H ${quoted(`Authorization: Bearer ${key}`)}`,
		"-H 'Content-Type: application/json'",
		"-H 'Accept: text/event-stream'",
		`-d ${quoted(JSON.stringify(job))}`,
	].join(" \\\n  ");

/**
 * Copies a text, also on a page without https.
 * @param {string} text
 * @returns {Promise<boolean>} whether it worked
 */
export async function copy(text) {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		const field = document.createElement("textarea");
		field.value = text;
		field.className = "unseen";
		document.body.append(field);
		field.select();
		const copied = document.execCommand("copy");
		field.remove();
		return copied;
	}
}
