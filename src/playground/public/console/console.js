// @ts-check
/** The console: signed out, a way in; signed in, the account. */
import { problemOf } from "../http.js";
import { element, say } from "../page.js";
import { usd } from "../usd.js";
import { showAutoTopUp } from "./auto-top-up.js";
import { showJobs } from "./jobs.js";
import { showKeys } from "./keys.js";
import { showLedger } from "./ledger.js";
import { call, signIn, signOut } from "./session.js";
import { sayPaid } from "./top-up.js";
import { showUsage } from "./usage.js";
import { showWebhooks } from "./webhooks.js";
import "./statement.js";

const problem = element("problem", HTMLElement);
const signInProblem = element("sign-in-problem", HTMLElement);

/** What a sign-in that went wrong says; the address has its code. */
const WORDS = {
	sign_in_failed:
		"The sign-in was not completed: it took too long, or began in another browser. Start again.",
	sign_in_denied: "The sign-in was canceled at the provider.",
	provider_unreachable:
		"The sign-in provider does not answer. Try again in a minute.",
	sign_in_off:
		"This deployment has no sign-in. Ask its operator for an account and a key.",
};

async function showAccount() {
	const account = await call("/v1/account");
	const name = element("name", HTMLElement);
	name.textContent = account.name;
	name.hidden = false;
	element("sign-out", HTMLElement).hidden = false;
	const { available, held } = account.balance;
	element("available", HTMLElement).textContent = usd(available);
	element("held", HTMLElement).textContent =
		held > 0 ? `and ${usd(held)} held for jobs that run` : "left to spend";
}

/** @param {string} [words] */
function showSignedOut(words = "") {
	for (const id of ["name", "sign-out", "signed-in"])
		element(id, HTMLElement).hidden = true;
	element("signed-out", HTMLElement).hidden = false;
	say(signInProblem, words);
}

async function show() {
	say(problem, "");
	try {
		await showAccount();
		element("signed-out", HTMLElement).hidden = true;
		element("signed-in", HTMLElement).hidden = false;
		await Promise.all([
			showAutoTopUp(),
			showKeys(),
			showUsage(),
			showLedger(),
			showWebhooks(),
			showJobs(),
		]);
	} catch (error) {
		const { status, message } = problemOf(error);
		if (status === 401 || status === 403) showSignedOut();
		else say(problem, message);
	}
}

async function enter() {
	try {
		const code = link ?? undefined;
		link = null; // it works once
		await signIn(code);
		await show();
	} catch (error) {
		showSignedOut(problemOf(error).message);
	}
}

/** The payment usually arrives within seconds. */
async function watchPayment() {
	try {
		for (const wait of [1_000, 2_000, 4_000, 8_000]) {
			await new Promise((resolve) => setTimeout(resolve, wait));
			await Promise.all([showAccount(), showAutoTopUp(), showLedger()]);
		}
	} catch {
		// The page shows what it knew; a reload asks again.
	}
}

let link = new URLSearchParams(location.hash.slice(1)).get("link");
const answered = new URLSearchParams(location.search);
const code = answered.get("error");
sayPaid(answered.get("paid"));
history.replaceState(null, "", "/console");

element("sign-in", HTMLButtonElement).addEventListener(
	"click",
	() => void enter(),
);
element("sign-out", HTMLButtonElement).addEventListener("click", async () => {
	await signOut().catch(() => {});
	showSignedOut();
});

if (link)
	// Not by itself: whoever sends the link could sign somebody in to an account of their own.
	showSignedOut();
else if (code)
	showSignedOut(
		WORDS[/** @type {keyof typeof WORDS} */ (code)] ?? WORDS.sign_in_failed,
	);
else {
	await show();
	if (answered.get("paid") === "yes") await watchPayment();
}
