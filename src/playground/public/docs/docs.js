// @ts-check
/** The API's reference, drawn by Scalar (reference.js) from /openapi.json, with the guides before it. */

const GUIDES = ["curl", "sdk", "openai", "command", "webhook"];

/** @param {string} path @returns {Promise<Response>} */
async function get(path) {
	const response = await fetch(path);
	if (!response.ok) throw new Error(`${path} answered ${response.status}`);
	return response;
}

/** A guide as part of this page: it names this deployment, and links to its neighbours by their headings. @param {string} guide */
const here = (guide) =>
	guide
		.replaceAll(
			"MINIGPT4_BASE_URL=http://127.0.0.1:8787",
			`MINIGPT4_BASE_URL=${location.origin}`,
		)
		.replace(
			/\[([^\]]+)\]\(\w+\.md\)/g,
			(_, title) =>
				`[${title}](#description/${title.toLowerCase().replaceAll(" ", "-")})`,
		);

async function show() {
	const { Scalar } = /** @type {any} */ (globalThis);
	if (!Scalar)
		throw new Error(
			"/docs/reference.js is missing: `npm run setup` brings it, and then reload",
		);
	const [content, ...guides] = await Promise.all([
		get("/openapi.json").then((response) => response.json()),
		...GUIDES.map((name) =>
			get(`/docs/guides/${name}`)
				.then((response) => response.text())
				.then(here),
		),
	]);
	content.info.description = [content.info.description, ...guides].join("\n\n");
	Scalar.createApiReference("#reference", {
		content,
		theme: "none",
		withDefaultFonts: false,
		telemetry: false,
		modelsSectionLabel: "Schemas",
		proxyUrl: "",
		agent: { disabled: true },
		mcp: { disabled: true },
		showDeveloperTools: "never",
		hideClientButton: true,
		documentDownloadType: "none",
		defaultHttpClient: { targetKey: "shell", clientKey: "curl" },
		persistAuth: false,
		darkMode: matchMedia("(prefers-color-scheme: dark)").matches,
	});
}

try {
	await show();
} catch (error) {
	const problem = /** @type {HTMLElement} */ (
		document.getElementById("problem")
	);
	problem.textContent = `The reference cannot be shown (${error instanceof Error ? error.message : error}). All it says is in /openapi.json.`;
	problem.hidden = false;
}

export {};
