// @ts-check
/**
 * A Worker before Miniflare's S3 API, which lets pages of every origin in, or none but those of
 * this machine: it applies the bucket's CORS rule as S3 does. What a caller signed, host and path
 * among it, reaches the API unchanged.
 */

/** @typedef {ReturnType<typeof import("../bucket.mjs").corsRule>} Rule */
/** @typedef {{ RULE: Rule, S3: { fetch: (request: Request) => Promise<Response> } }} Env */

/** Workerd's. */
const { FixedLengthStream } = /** @type {any} */ (globalThis);
const PATH = "/cdn-cgi/local/r2/s3/";

export default {
	/** @param {Request} request @param {Env} env @returns {Promise<Response>} */
	async fetch(request, { RULE, S3 }) {
		// The API's own server asks this Worker for every other path.
		if (!new URL(request.url).pathname.startsWith(PATH))
			return new Response(null, { status: 404 });
		const origin = request.headers.get("Origin");
		if (request.method === "OPTIONS") return preflight(request, origin, RULE);
		const answer = await passOn(request, S3);
		const response = new Response(answer.body, answer);
		for (const [name] of answer.headers)
			if (name.startsWith("access-control-")) response.headers.delete(name);
		if (origin && allows(RULE, origin, request.method))
			allow(response.headers, origin);
		return response;
	},
};

/**
 * The API answers what it refuses before it has read the body, and then breaks the connection,
 * while callers read an answer only once all is sent. So the body is read to its end here, whoever
 * still wants it; of such an answer the status alone is sure to come.
 * @param {Request} request @param {Env["S3"]} s3
 */
async function passOn(request, s3) {
	const headers = new Headers(request.headers);
	headers.delete("Origin");
	const { body } = request;
	if (!body) return s3.fetch(new Request(request, { headers }));
	// As long as it was signed to be.
	const { readable, writable } = new FixedLengthStream(
		Number(headers.get("Content-Length")),
	);
	const writer = writable.getWriter();
	let wanted = true;
	const sent = (async () => {
		for await (const bytes of body)
			if (wanted)
				await writer.write(bytes).catch(() => {
					wanted = false;
				});
		if (wanted) await writer.close();
	})();
	const answer = await s3.fetch(
		new Request(request, { headers, body: readable }),
	);
	const told = answer.ok ? null : answer.text().catch(() => "");
	await sent;
	return told ? new Response(await told, { status: answer.status }) : answer;
}

/** @param {Request} request @param {string | null} origin @param {Rule} rule */
function preflight({ headers }, origin, rule) {
	const method = headers.get("Access-Control-Request-Method") ?? "";
	const names = (headers.get("Access-Control-Request-Headers") ?? "")
		.split(",")
		.map((name) => name.trim().toLowerCase())
		.filter(Boolean);
	const known = names.every((name) => rule.AllowedHeaders.includes(name));
	if (!origin || !known || !allows(rule, origin, method))
		return new Response(null, { status: 403 });
	const response = new Response(null, {
		headers: {
			"Access-Control-Allow-Methods": rule.AllowedMethods.join(", "),
			"Access-Control-Allow-Headers": names.join(", "),
			"Access-Control-Max-Age": String(rule.MaxAgeSeconds),
		},
	});
	allow(response.headers, origin);
	return response;
}

/** @param {Rule} rule @param {string} origin @param {string} method */
const allows = ({ AllowedOrigins, AllowedMethods }, origin, method) =>
	AllowedMethods.includes(method) &&
	AllowedOrigins.some((pattern) => {
		const [start = "", end] = pattern.split("*");
		if (end === undefined) return origin === pattern;
		return origin.startsWith(start) && origin.endsWith(end);
	});

/** @param {Headers} headers @param {string} origin */
function allow(headers, origin) {
	headers.set("Access-Control-Allow-Origin", origin);
	headers.append("Vary", "Origin");
}
