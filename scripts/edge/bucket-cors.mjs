// @ts-check
/**
 * A Worker before Miniflare's S3 API, which lets pages of every origin in, or none but those of this machine: it applies
 * the bucket's CORS rule as S3 does. What a caller signed, host and path among it, reaches the API unchanged.
 */

/** @typedef {ReturnType<typeof import("../bucket.mjs").corsRule>} Rule */
/** @typedef {{ RULE: Rule, S3: { fetch: (request: Request) => Promise<Response> } }} Env */

const PATH = "/cdn-cgi/local/r2/s3/";

export default {
	/** @param {Request} request @param {Env} env @returns {Promise<Response>} */
	async fetch(request, { RULE, S3 }) {
		// The API's own server asks this Worker for every other path.
		if (!new URL(request.url).pathname.startsWith(PATH))
			return new Response(null, { status: 404 });
		const origin = request.headers.get("Origin");
		if (request.method === "OPTIONS") return preflight(request, origin, RULE);
		const headers = new Headers(request.headers);
		headers.delete("Origin");
		const answer = await S3.fetch(new Request(request, { headers }));
		const response = new Response(answer.body, answer);
		for (const [name] of answer.headers)
			if (name.startsWith("access-control-")) response.headers.delete(name);
		if (origin && allows(RULE, origin, request.method))
			allow(response.headers, origin);
		return response;
	},
};

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
