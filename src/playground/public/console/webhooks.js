// @ts-check
/** The account's webhooks: made, tested, deleted, and what became of each delivery. */
import { problemOf } from "../http.js";
import { announce, element, make, say } from "../page.js";
import { call } from "./session.js";
import { button, cell, since } from "./table.js";

const form = element("new-webhook", HTMLFormElement);
const problem = element("webhook-problem", HTMLElement);
const made = element("webhook-made", HTMLElement);
const list = element("webhooks", HTMLElement);
const none = element("no-webhooks", HTMLElement);

const REASONS = {
	gone: "stopped: the address answered that it is gone",
	no_success: "stopped: nothing could be delivered for days",
};

export async function showWebhooks() {
	const { data } = await call("/v1/webhooks");
	list.replaceChildren(...data.map(row));
	none.hidden = data.length > 0;
	element("webhooks-table", HTMLElement).hidden = data.length === 0;
}

/** @param {any} hook */
function row(hook) {
	const line = make("tr", "");
	const path = `/v1/webhooks/${hook.id}`;
	const stopped = hook.status === "disabled";
	const state = stopped
		? (REASONS[/** @type {keyof typeof REASONS} */ (hook.disabled_reason)] ??
			"stopped")
		: "on";
	const log = button("Deliveries", `Deliveries to ${hook.url}`, async () => {
		const isOpen = log.getAttribute("aria-expanded") === "true";
		log.setAttribute("aria-expanded", String(!isOpen));
		if (isOpen) line.nextElementSibling?.remove();
		else line.after(await deliveries(path));
	});
	log.setAttribute("aria-expanded", "false");
	const actions = make("td", "");
	actions.append(
		log,
		button("Test", `Test ${hook.url}`, () =>
			attempt(async () => {
				const delivery = await call(`${path}/test`, { method: "POST" });
				announce(`The test ${words(delivery)}.`);
				if (log.getAttribute("aria-expanded") === "true") log.click();
				log.click();
			}),
		),
		...(stopped
			? [
					button("Start", `Start ${hook.url}`, () =>
						attempt(async () => {
							const json = { status: "enabled" };
							await call(path, { method: "PATCH", json });
							await showWebhooks();
						}),
					),
				]
			: []),
		button("Delete", `Delete ${hook.url}`, () =>
			attempt(async () => {
				if (!confirm(`Send nothing to ${hook.url} any more?`)) return;
				await call(path, { method: "DELETE" });
				await showWebhooks();
			}),
		),
	);
	line.append(
		cell(hook.url, "wide"),
		cell(state, "wide"),
		cell(hook.last_success_at ? since(hook.last_success_at) : "never"),
		actions,
	);
	return line;
}

/** @param {any} delivery */
function words({ status, http_status, error }) {
	const why = http_status ?? error;
	switch (status) {
		case "delivered":
			return "was delivered";
		case "pending":
			return "waits";
		case "gave_up":
			return `was given up (${why})`;
		default:
			return `failed (${why})`;
	}
}

/** @param {string} path */
async function deliveries(path) {
	const { data } = await call(`${path}/deliveries?limit=10`);
	const rows = data.map((/** @type {any} */ delivery) => {
		const line = make("li", "");
		line.append(
			make("span", "", `${since(delivery.at)}: ${delivery.type} `),
			make("span", "hint", words(delivery)),
		);
		if (delivery.seq !== null)
			line.append(
				" ",
				button("Send again", `Send ${delivery.event} again`, () =>
					attempt(async () => {
						const json = { event: delivery.event };
						await call(`${path}/redeliver`, { method: "POST", json });
						announce("It is sent again.");
					}),
				),
			);
		return line;
	});
	const whole = make(
		"td",
		"wide",
		rows.length > 0
			? make("ul", "deliveries", ...rows)
			: make("p", "hint", "Nothing was sent yet."),
	);
	whole.colSpan = 4;
	return make("tr", "", whole);
}

/** @param {() => Promise<void>} act */
async function attempt(act) {
	say(problem, "");
	try {
		await act();
	} catch (error) {
		say(problem, problemOf(error).message);
	}
}

form.addEventListener("submit", (event) => {
	event.preventDefault();
	void attempt(async () => {
		const url = String(new FormData(form).get("url")).trim();
		const hook = await call("/v1/webhooks", { method: "POST", json: { url } });
		form.reset();
		element("webhook-secret", HTMLElement).textContent = hook.secret;
		made.hidden = false;
		await showWebhooks();
	});
});
element("hide-webhook-secret", HTMLButtonElement).addEventListener(
	"click",
	() => {
		made.hidden = true;
		element("webhook-secret", HTMLElement).textContent = "";
	},
);
