// @ts-check
/** The account's keys: made, shown once, rotated, revoked. */
import { problemOf } from "../http.js";
import { announce, element, make, say } from "../page.js";
import { call } from "./session.js";
import { button, cell, since } from "./table.js";

const form = element("new-key", HTMLFormElement);
const problem = element("key-problem", HTMLElement);
const made = element("made", HTMLElement);
const secret = element("made-key", HTMLElement);

const SCOPES = {
	usual: null,
	ask: ["jobs:write", "jobs:read", "uploads:write"],
	all: [
		"jobs:write",
		"jobs:read",
		"uploads:write",
		"billing:read",
		"keys:admin",
		"webhooks:admin",
	],
};

export async function showKeys() {
	const { data } = await call("/v1/keys");
	const rows = data
		.filter((/** @type {any} */ key) => stateOf(key) === "live" || key.current)
		.reverse()
		.map(row);
	element("keys", HTMLElement).replaceChildren(...rows);
}

/** @param {any} key */
const stateOf = (key) =>
	key.revoked_at
		? "revoked"
		: key.expires_at && Date.parse(key.expires_at) <= Date.now()
			? "expired"
			: key.suspended_at
				? "suspended"
				: "live";

/** @param {any} key */
function row(key) {
	const line = make("tr", "");
	const until = key.expires_at
		? `until ${new Date(key.expires_at).toLocaleDateString()}`
		: "live";
	const actions = make("td", "");
	if (!key.current)
		actions.append(
			button("New secret", `New secret for ${key.name}`, () => rotate(key)),
			button("Revoke", `Revoke ${key.name}`, () => revoke(key)),
		);
	line.append(
		cell(key.name, "wide"),
		cell(key.current ? "this session" : until),
		cell(key.last_used_at ? since(key.last_used_at) : "never"),
		cell(mayDo(key.scopes), "wide"),
		actions,
	);
	return line;
}

/** @param {string[]} scopes */
function mayDo(scopes) {
	const missing = SCOPES.all.filter((scope) => !scopes.includes(scope));
	if (missing.length === 0) return "do everything";
	return missing.join() === "keys:admin"
		? "do all but administer keys"
		: scopes.join(", ");
}

/** @param {() => Promise<void>} act */
async function attempt(act) {
	say(problem, "");
	try {
		await act();
		await showKeys();
	} catch (error) {
		say(problem, problemOf(error).message);
	}
}

/** @param {any} key */
const rotate = (key) =>
	attempt(async () => {
		const rotated = await call(`/v1/keys/${key.id}/rotate`, {
			method: "POST",
			json: { grace: 86_400 },
		});
		show(
			rotated.key,
			`The new secret of “${key.name}”. The old one works for another day.`,
		);
	});

/** @param {any} key */
const revoke = (key) =>
	attempt(async () => {
		if (!confirm(`Programs that use “${key.name}” stop working. Revoke it?`))
			return;
		await call(`/v1/keys/${key.id}`, { method: "DELETE" });
	});

/** @param {string} key @param {string} words */
function show(key, words) {
	element("made-words", HTMLElement).textContent =
		`${words} It is shown this once.`;
	secret.textContent = key;
	element("try-key", HTMLAnchorElement).href = `/#key=${key}`;
	made.hidden = false;
	announce(words);
}

form.addEventListener("submit", (event) => {
	event.preventDefault();
	const fields = new FormData(form);
	const name = String(fields.get("name")).trim() || "my key";
	const days = Number(fields.get("days"));
	const scopes =
		SCOPES[/** @type {keyof typeof SCOPES} */ (String(fields.get("scopes")))];
	void attempt(async () => {
		const key = await call("/v1/keys", {
			method: "POST",
			json: {
				name,
				...(scopes && { scopes }),
				...(days > 0 && {
					expires_at: new Date(Date.now() + days * 86_400_000).toISOString(),
				}),
			},
		});
		form.reset();
		show(key.key, `The key “${key.name}”.`);
	});
});

element("copy-key", HTMLButtonElement).addEventListener("click", async () => {
	await navigator.clipboard.writeText(secret.textContent ?? "");
	announce("Copied.");
});

element("hide-key", HTMLButtonElement).addEventListener("click", () => {
	made.hidden = true;
	secret.textContent = "";
	element("try-key", HTMLAnchorElement).href = "/";
});
