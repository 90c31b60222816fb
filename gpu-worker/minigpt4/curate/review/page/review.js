// @ts-check
/**
 * One target at a time: a decision goes to the server first, and only what it has noted is shown.
 *
 * @typedef {"keep" | "edit" | "drop"} Decision
 * @typedef {{ id: string, kind: string, passed: boolean, decision: Decision | null }} Listed
 * @typedef {{
 *   id: string, key: string, kind: string, prompt: string, answer: string, edited: string | null,
 *   captions: string[], told: string[], seen: string | null, faults: Record<string, string>,
 * }} Target
 */

/** @template {Element} T @param {string} id @param {new () => T} type @returns {T} */
function element(id, type) {
	const found = document.getElementById(id);
	if (!(found instanceof type)) throw new Error(`#${id} is missing`);
	return found;
}

const html = HTMLElement;
const button = (/** @type {string} */ id) => element(id, HTMLButtonElement);
const show = element("show", HTMLSelectElement);
const editor = element("editor", HTMLFormElement);
const edited = element("edited", HTMLTextAreaElement);
const help = element("help", HTMLDialogElement);
const photo = element("photo", HTMLImageElement);
const frame = element("frame", HTMLIFrameElement);
const actions = element("actions", html);
const status = element("status", html);

const DONE = { keep: "Kept", edit: "Edited", drop: "Dropped" };
const NAMES = new Map([
	["described", "Described by the model"],
	["merged", "Merged from captions"],
]);

/** @type {Listed[]} */
let targets = [];
/** Where one stands in `targets`; -1 where nothing is shown. */
let at = -1;
/** What was decided since this filter was chosen stays in sight. @type {Set<string>} */
let touched = new Set();
/** @type {Map<number, Promise<Target>>} */
const known = new Map();
/** @type {Target | null} */
let shown = null;
let busy = false;

/** @param {string} path @param {unknown} [body] */
async function call(path, body) {
	const response = await fetch(path, {
		method: body === undefined ? "GET" : "POST",
		headers: body === undefined ? {} : { "Content-Type": "application/json" },
		body: body === undefined ? undefined : JSON.stringify(body),
	});
	const told = await response.json();
	if (!response.ok) throw new Error(told.message ?? `status ${response.status}`);
	return told;
}

let fading = 0;
/** @param {string} words @param {boolean} [wrong] */
function say(words, wrong = false) {
	status.textContent = words;
	status.toggleAttribute("data-wrong", wrong);
	status.setAttribute("data-shown", "");
	clearTimeout(fading);
	fading = setTimeout(() => status.removeAttribute("data-shown"), wrong ? 8000 : 1800);
}

/** @param {unknown} error */
const complain = (error) =>
	say(
		error instanceof TypeError
			? "The command is not there any more. Start it again; nothing that was noted is lost."
			: String(error instanceof Error ? error.message : error),
		true,
	);

// What is in sight

const kind = () => {
	const chosen = document.querySelector('#kinds input:checked');
	return chosen instanceof HTMLInputElement ? chosen.value : "";
};

/** @param {Listed} target */
function inSight(target) {
	if (kind() && target.kind !== kind()) return false;
	if (show.value === "faulty") return !target.passed;
	if (show.value === "decided") return target.decision !== null || touched.has(target.id);
	if (!target.passed && target.decision === null && !touched.has(target.id)) return false;
	return show.value === "passed" || target.decision === null || touched.has(target.id);
}

/**
 * The next one in sight from `from`, that one included.
 * @param {number} from @param {1 | -1} step @param {boolean} [open]
 */
function next(from, step, open = false) {
	for (let n = from; n >= 0 && n < targets.length; n += step) {
		const target = /** @type {Listed} */ (targets[n]);
		if (inSight(target) && (!open || target.decision === null)) return n;
	}
	return -1;
}

function sums() {
	const passed = targets.filter((target) => target.passed || target.decision);
	/** @param {Decision} decision */
	const count = (decision) => passed.filter((target) => target.decision === decision).length;
	const [kept, changed, dropped] = [count("keep"), count("edit"), count("drop")];
	const decided = kept + changed + dropped;
	const total = Math.max(passed.length, 1);
	element("sums", html).replaceChildren(
		Object.assign(document.createElement("b"), { textContent: `${decided} of ${passed.length}` }),
		` decided · ${kept} kept · ${changed} edited · ${dropped} dropped`,
	);
	let x = 0;
	for (const [name, n] of Object.entries({ kept, edited: changed, dropped })) {
		const rect = document.querySelector(`#bar .${name}`);
		rect?.setAttribute("x", String(x));
		rect?.setAttribute("width", String((100 * n) / total));
		x += (100 * n) / total;
	}
	const bar = element("bar", html);
	bar.setAttribute("aria-valuenow", String(Math.round((100 * decided) / total)));
	bar.setAttribute("aria-valuetext", `${decided} of ${passed.length}`);
	for (const small of document.querySelectorAll("#kinds small")) {
		const of = small.getAttribute("data-kind");
		const left = targets.filter((t) => t.passed && !t.decision && (!of || t.kind === of)).length;
		small.textContent = String(left);
	}
}

/** @param {string[]} kinds */
function showKinds(kinds) {
	const chosen = kind();
	element("kinds", html).append(
		...["", ...kinds].map((value) => {
			const label = document.createElement("label");
			const input = Object.assign(document.createElement("input"), {
				type: "radio",
				name: "kind",
				value,
				checked: value === chosen,
			});
			const span = document.createElement("span");
			const small = document.createElement("small");
			small.dataset.kind = value;
			span.append(value || "All", small);
			label.append(input, span);
			return label;
		}),
	);
}

// One target

/** @param {number} n */
function load(n) {
	let found = known.get(n);
	if (!found) {
		found = call(`/targets/${n}`);
		found.catch(() => known.delete(n));
		known.set(n, found);
		if (known.size > 200) known.delete(/** @type {number} */ (known.keys().next().value));
	}
	return found;
}

/** @param {number} n */
async function go(n) {
	at = n;
	stopEditing();
	sums();
	const some = n >= 0;
	element("target", html).hidden = !some;
	element("nothing", html).hidden = some;
	for (const id of ["keep", "edit", "drop"]) button(id).disabled = !some;
	button("back").disabled = !some || next(n - 1, -1) < 0;
	button("forward").disabled = !some || next(n + 1, 1) < 0;
	if (!some) {
		shown = null;
		const all = targets.filter((t) => t.passed).length;
		const open = targets.filter((t) => t.passed && !t.decision).length;
		const none = !all && !targets.length;
		const words = open ? "Nothing here." : "All is decided.";
		element("nothing-words", html).textContent = none ? "There is nothing to review." : words;
		element("nothing-hint", html).textContent = open
			? "Another kind, or another choice beside it, has more."
			: "Ctrl-C in the terminal writes the set. Undo takes the last decision back.";
		return;
	}
	let target;
	try {
		target = await load(n);
	} catch (error) {
		complain(error);
		return;
	}
	if (at !== n) return;
	draw(target);
	const after = next(n + 1, 1);
	if (after >= 0) {
		load(after).catch(() => {});
		new Image().src = `/photos/${after}`;
	}
}

/** @param {Target} target */
function draw(target) {
	shown = target;
	const listed = /** @type {Listed} */ (targets[at]);
	const source = `/photos/${at}`;
	if (photo.getAttribute("src") !== source) photo.src = source;
	photo.alt = target.captions[0] ?? "The photo that is asked about";
	const places = targets.flatMap((each, n) => (inSight(each) ? [n] : []));
	element("place", html).textContent = `${places.indexOf(at) + 1} of ${places.length}`;
	element("key", html).textContent = target.key;
	element("kind", html).textContent = NAMES.get(target.kind) ?? target.kind;
	element("prompt", html).textContent = target.prompt;
	const state = element("state", html);
	state.hidden = !listed.decision;
	state.textContent = listed.decision ? DONE[listed.decision] : "";
	state.dataset.decision = listed.decision ?? "";
	const answer = element("answer", html);
	answer.textContent = target.edited ?? target.answer;
	answer.dataset.kind = target.kind;
	answer.dataset.decision = listed.decision ?? "";
	answer.scrollTop = 0;
	const faults = element("faults", html);
	faults.hidden = Object.keys(target.faults).length === 0;
	faults.replaceChildren(
		...Object.entries(target.faults).map(([rule, why]) => {
			const item = document.createElement("li");
			item.append(Object.assign(document.createElement("b"), { textContent: rule }), `: ${why}`);
			return item;
		}),
	);
	const page = target.kind === "website";
	element("preview", html).hidden = !page;
	// Another address each time it may look different; the frame loads nothing by itself.
	if (page) frame.src = `/pages/${at}?${listed.decision === "edit" ? Date.now() : ""}`;
	else frame.removeAttribute("src");
	const told = new Set(target.told);
	element("captions", html).replaceChildren(
		...target.captions.map((caption) => {
			const item = Object.assign(document.createElement("li"), { textContent: caption });
			if (told.has(caption)) item.dataset.told = "";
			return item;
		}),
	);
	element("sources", html).hidden = target.captions.length === 0 && !target.seen;
	element("seen", html).hidden = !target.seen;
	element("seen-text", html).textContent = target.seen ?? "";
}

// Deciding

/** @param {Decision} decision @param {string} [answer] */
async function decide(decision, answer) {
	if (busy || !shown) return;
	busy = true;
	const n = at;
	try {
		const target = shown;
		const edited = answer === undefined ? {} : { answer };
		await call("/decisions", { target: target.id, decision, ...edited });
		const listed = /** @type {Listed} */ (targets[n]);
		listed.decision = decision;
		touched.add(listed.id);
		target.edited = answer ?? null;
		say(DONE[decision]);
		const open = next(n + 1, 1, true);
		const after = open >= 0 ? open : next(0, 1, true);
		await go(after >= 0 ? after : show.value === "open" ? -1 : n);
	} catch (error) {
		complain(error);
	} finally {
		busy = false;
	}
}

async function undo() {
	if (busy) return;
	busy = true;
	try {
		const told = await call("/undo", {});
		const n = targets.findIndex((target) => target.id === told.target);
		if (n < 0) {
			say(told.target === null ? "There is nothing to undo" : "Undone");
			return;
		}
		const listed = /** @type {Listed} */ (targets[n]);
		listed.decision = told.decision;
		touched.add(listed.id);
		known.delete(n);
		if (!inSight(listed)) {
			// What was taken back is shown, whatever was being looked at.
			const all = document.querySelector('#kinds input[value=""]');
			if (all instanceof HTMLInputElement) all.checked = true;
			show.value = listed.passed ? "open" : "faulty";
		}
		say("Undone");
		await go(n);
	} catch (error) {
		complain(error);
	} finally {
		busy = false;
	}
}

function startEditing() {
	if (!shown) return;
	editor.hidden = false;
	actions.hidden = true; // what is written is decided about by saving it
	element("answer", html).hidden = true;
	edited.value = shown.edited ?? shown.answer;
	edited.rows = Math.min(20, Math.max(6, Math.ceil(edited.value.length / 60) + 2));
	countWords();
	edited.focus();
}

function stopEditing() {
	const had = editor.contains(document.activeElement);
	editor.hidden = true;
	actions.hidden = false;
	element("answer", html).hidden = false;
	if (had) button("edit").focus();
}

function countWords() {
	const n = edited.value.split(/\s+/).filter(Boolean).length;
	element("count", html).textContent = `${n} ${n === 1 ? "word" : "words"}`;
}

function save() {
	const text = edited.value.trim();
	if (!text) say("An answer needs words; drop it instead", true);
	else if (shown && text === shown.answer) void decide("keep");
	else void decide("edit", text);
}

const forward = () => {
	const n = next(at + 1, 1);
	if (at >= 0 && n >= 0) void go(n);
};
const back = () => {
	const n = next(at < 0 ? targets.length - 1 : at - 1, -1);
	if (n >= 0) void go(n);
};

button("keep").addEventListener("click", () => void decide("keep"));
button("drop").addEventListener("click", () => void decide("drop"));
button("edit").addEventListener("click", startEditing);
button("undo").addEventListener("click", () => void undo());
button("back").addEventListener("click", back);
button("forward").addEventListener("click", forward);
button("cancel").addEventListener("click", stopEditing);
button("help-open").addEventListener("click", () => help.showModal());
edited.addEventListener("input", countWords);
editor.addEventListener("submit", (event) => {
	event.preventDefault();
	save();
});
for (const chooser of [show, element("kinds", html)])
	chooser.addEventListener("change", () => {
		touched = new Set();
		void go(next(0, 1));
	});

document.addEventListener("keydown", (event) => {
	if (help.open) return;
	if (!editor.hidden) {
		if (event.key === "Escape") stopEditing();
		else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
		else return;
		event.preventDefault();
		return;
	}
	if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
	const on = event.target;
	const arrows = event.key.startsWith("Arrow");
	// Where arrows choose, they keep choosing.
	if (arrows && (on instanceof HTMLSelectElement || on instanceof HTMLInputElement)) return;
	if (on instanceof HTMLSelectElement) return;
	const action = {
		k: () => void decide("keep"),
		d: () => void decide("drop"),
		e: startEditing,
		u: () => void undo(),
		ArrowLeft: back,
		ArrowRight: forward,
		"?": () => help.showModal(),
	}[event.key.length === 1 ? event.key.toLowerCase() : event.key];
	if (!action) return;
	event.preventDefault();
	action();
});

try {
	const told = await call("/targets");
	targets = told.targets;
	showKinds(told.kinds);
	await go(next(0, 1));
} catch (error) {
	complain(error);
}
