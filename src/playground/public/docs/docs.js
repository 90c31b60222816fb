// @ts-check
/**
 * Shows the guides and the API reference, which Scalar (reference.js) renders from /openapi.json.
 */

const GUIDES = [
	"curl",
	"sdk",
	"openai",
	"command",
	"keys",
	"receipts",
	"webhook",
];

/** @param {string} path @returns {Promise<Response>} */
async function get(path) {
	const response = await fetch(path);
	if (!response.ok) throw new Error(`${path} answered ${response.status}`);
	return response;
}

/**
 * Adapts a guide to this page: it names this deployment, and links to other guides by their
 * headings.
 * @param {string} guide
 */
const adapted = (guide) =>
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
				.then(adapted),
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
	const reason = error instanceof Error ? error.message : error;
	problem.textContent =
		`The reference cannot be shown (${reason}). ` +
		"/openapi.json has the same content.";
	problem.hidden = false;
}

export {};
