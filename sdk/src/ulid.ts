const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/**
 * Makes a ULID, as a job's id: 48 bits of time and 80 random bits. Ids sort by time and never
 * collide. Store the id before you create the job, and a program that crashes finds its job again.
 *
 * @param now milliseconds since 1970
 * @example
 * ```ts
 * import { ulid } from "minigpt4";
 *
 * const id = ulid();
 * const request = { images: ["samples/cat.jpg"], prompt: "What is this?", temperature: 0 };
 * const first = await client.jobs.run(request, { id });
 * const again = await client.jobs.run(request, { id }); // the same job: it runs and costs once
 * console.log(first.id === again.id, again.output.text);
 * ```
 */
export function ulid(now: number = Date.now()): string {
	let time = "";
	for (let n = 0; n < 10; n++, now = Math.floor(now / 32))
		time = DIGITS[now % 32] + time;
	const random = crypto.getRandomValues(new Uint8Array(16));
	return time + Array.from(random, (byte) => DIGITS[byte % 32]).join("");
}
