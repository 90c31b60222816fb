// @ts-check

const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** A new id for a job: a ULID, 48 bits of time and 80 random bits. */
export function ulid(now = Date.now()) {
	let time = "";
	for (let n = 0; n < 10; n++, now = Math.floor(now / 32))
		time = DIGITS[now % 32] + time;
	const random = crypto.getRandomValues(new Uint8Array(16));
	return time + Array.from(random, (byte) => DIGITS[byte % 32]).join("");
}
