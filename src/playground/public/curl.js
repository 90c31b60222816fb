// @ts-check
/** The command line that does what the page does. */

/** @param {string} text one word of a POSIX shell */
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

/** Copies, also where the page is not served over https. @param {string} text @returns {Promise<boolean>} whether it worked */
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
