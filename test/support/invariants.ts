/**
 * What must hold of a deployment at rest, whatever happened to it before: pure, over what was
 * gathered of it. Properties, chaos and simulation all ask here. Each rule is broken once on
 * purpose in test/support/invariants.test.ts.
 */
import { createHash } from "node:crypto";
import type { Balances, Book, Entry } from "../../src/account/ledger.ts";
import type { Outcome } from "../../src/contract/account.ts";
import type { JobSpec, LogEvent } from "../../src/contract/job.ts";
import { settle } from "../../src/pricing/settle.ts";

export interface Gathered {
	accounts: GatheredAccount[];
	jobs: GatheredJob[];
	readers: GatheredReader[];
	/** What callers asked for. */
	asked: Asked[];
	pools: { model: string; leased: string[]; waiting: string[] }[];
	/** Keys of all objects in the bucket; null where nobody looked. */
	objects: string[] | null;
}

export interface GatheredAccount {
	id: string;
	balances: Balances;
	/** Oldest first. */
	entries: Entry[];
	/** The job index. */
	jobs: IndexedJob[];
	uploads: { id: string; status: string; key: string }[];
	/** Jobs that keep an image from being deleted. */
	deletedImages: string[];
	/** Keys of the due table. */
	due: string[];
	/** What the last audit of its ledger found wrong. */
	mismatch: string | null;
}

export interface IndexedJob {
	id: string;
	status: string;
	gone: boolean;
	hold: number;
	/** Null until it settled. */
	price: number | null;
}

/** A Job object. */
export interface GatheredJob {
	account: string;
	id: string;
	/** Null for a tombstone. */
	log: LogEvent[] | null;
	/** Output ids in the log. */
	tokens: number;
	maxTokens: number;
	/** What the price follows from; null for a tombstone. */
	spec: Pick<JobSpec, "prices" | "images" | "maxPrice"> | null;
}

export interface GatheredReader {
	account: string;
	job: string;
	/** Last event that it had before it began. */
	after: number;
	/** What it saw, over all its connections. */
	events: LogEvent[];
}

/** One thing that a caller wanted done, however often it had to ask. */
export interface Asked {
	account: string;
	/** By what the caller calls it. */
	name: string;
	/** Ids of all answers it got. */
	ids: string[];
	/** What the answer is if nothing ends it early; null where nobody can know. */
	text: string | null;
	/** How it may end. */
	ends: string[];
}

export type Rule =
	| "log is whole"
	| "one end"
	| "done tells the truth"
	| "no more tokens than asked"
	| "readers see the log"
	| "one job for a name"
	| "nothing runs unasked"
	| "the answer is the answer"
	| "ends as it may"
	| "one settlement"
	| "the price is right"
	| "no more than the cap"
	| "books balance"
	| "credit is never overspent"
	| "nothing is held"
	| "log and index agree"
	| "no slot is taken"
	| "nobody waits"
	| "objects and uploads agree";

/** Where nobody looked, nothing is wrong. */
export const NOTHING: Gathered = {
	accounts: [],
	jobs: [],
	readers: [],
	asked: [],
	pools: [],
	objects: null,
};

export interface Violation {
	rule: Rule;
	where: string;
	what: string;
}

const ENDS = new Set([
	"job.succeeded",
	"job.failed",
	"job.canceled",
	"job.expired",
]);

export function violations(gathered: Gathered): Violation[] {
	const found: Violation[] = [];
	const judge =
		(where: string): Judge =>
		(rule, holds, what) => {
			if (!holds) found.push({ rule, where, what: what() });
		};
	const jobs = new Map(gathered.jobs.map((job) => [nameOf(job), job]));
	for (const job of gathered.jobs) checkLog(job, judge(nameOf(job)));
	for (const reader of gathered.readers)
		checkReader(
			reader,
			jobs.get(`${reader.account}/${reader.job}`),
			judge(`a reader of ${reader.account}/${reader.job}`),
		);
	for (const account of gathered.accounts) {
		checkBooks(account, judge(account.id));
		for (const row of account.jobs) {
			const where = `${account.id}/${row.id}`;
			checkSettlement(row, account, judge(where));
			checkIndex(row, jobs.get(where), judge(where));
		}
	}
	checkAsked(gathered, jobs, judge);
	for (const { model, leased, waiting } of gathered.pools) {
		const it = judge(`the pool of ${model}`);
		it("no slot is taken", leased.length === 0, () => list(leased));
		it("nobody waits", waiting.length === 0, () => list(waiting));
	}
	if (gathered.objects)
		checkObjects(gathered.accounts, gathered.objects, judge("the bucket"));
	return found;
}

/** Finds fault where the rule does not hold. */
type Judge = (rule: Rule, holds: boolean, what: () => string) => void;

function checkLog(job: GatheredJob, it: Judge): void {
	const { log, tokens, maxTokens } = job;
	if (!log) return;
	const types = log.map(({ type }) => type);
	const ends = types.filter((type) => ENDS.has(type));
	it(
		"log is whole",
		log.every(({ seq }, n) => seq === n + 1) && types[0] === "job.queued",
		() => `events ${list(log.map(({ seq, type }) => `${seq} ${type}`))}`,
	);
	it(
		"one end",
		ends.length === 1 &&
			types.filter((type) => type === "done").length === 1 &&
			types.at(-1) === "done" &&
			ENDS.has(types.at(-2) ?? "") &&
			types.at(-3) === "usage",
		() => `it ends with ${list(types.slice(-4))}, its ends are ${list(ends)}`,
	);
	const text = textOf(log);
	const truth = {
		last_seq: log.length,
		tokens,
		bytes: Buffer.byteLength(text),
		sha256: sha256(text),
	};
	const told = dataOf(log.find(({ type }) => type === "done"));
	const used = dataOf(log.find(({ type }) => type === "usage"));
	it(
		"done tells the truth",
		Object.entries(truth).every(([key, value]) => told[key] === value) &&
			used.output_tokens === tokens,
		() =>
			`\`done\` tells ${JSON.stringify(told)}, usage ${JSON.stringify(used)}, ` +
			`true is ${JSON.stringify(truth)}`,
	);
	it(
		"no more tokens than asked",
		tokens <= maxTokens,
		() => `${tokens} tokens, asked for ${maxTokens}`,
	);
}

/** What it saw is the log from where it began, to the byte and to the end. */
function checkReader(
	{ after, events }: GatheredReader,
	job: GatheredJob | undefined,
	it: Judge,
): void {
	// What was erased cannot be compared; the stream's own checksum can.
	const log = job?.log?.slice(after);
	const told = dataOf(events.at(-1));
	const same = log
		? frames(events) === frames(log)
		: events.every(({ seq }, n) => seq === after + n + 1);
	const checked =
		after > 0 ||
		(events.at(-1)?.type === "done" && told.sha256 === sha256(textOf(events)));
	it("readers see the log", same && checked, () => {
		const at = events.findIndex(
			(event, n) => frames([event]) !== frames(log?.slice(n, n + 1) ?? []),
		);
		const other = JSON.stringify(events[at] ?? null);
		return (
			`of ${log?.length} events it saw ${events.length}, ` +
			`another one from number ${at + 1} on: ${other}`
		);
	});
}

function checkSettlement(
	row: IndexedJob,
	{ entries }: GatheredAccount,
	it: Judge,
): void {
	const of = (kind: Entry["kind"]) =>
		entries.filter((entry) => entry.ref === row.id && entry.kind === kind);
	const [holds, settles, releases] = [of("hold"), of("settle"), of("release")];
	const settled = sum(settles);
	const released =
		sum(releases) + settles.reduce((total, each) => total + each.released, 0);
	it(
		"one settlement",
		holds.length === 1 &&
			settles.length <= 1 &&
			releases.length <= 1 &&
			row.price !== null &&
			settled + released === row.hold &&
			sum(holds) === row.hold,
		() =>
			`held ${list(holds.map(amount))}, settled ${list(settles.map(amount))}, ` +
			`released ${released}`,
	);
	it(
		"the price is right",
		row.price === settled &&
			(!["failed", "expired"].includes(row.status) || settled === 0),
		() =>
			`${row.status} for ${row.price}; debited ${settled} of ${row.hold} held`,
	);
}

/** What the account says of a job is what its log says. */
function checkIndex(
	row: IndexedJob,
	job: GatheredJob | undefined,
	it: Judge,
): void {
	const { log, tokens = 0, spec } = job ?? {};
	it(
		"log and index agree",
		job !== undefined && row.gone === !log,
		() =>
			`${row.gone ? "gone" : "listed"}, and its object ` +
			(job ? (log ? "has a log" : "is a tombstone") : "is unknown"),
	);
	if (!log || !spec) return;
	const end = dataOf(log.find(({ type }) => ENDS.has(type)));
	it(
		"log and index agree",
		end.status === row.status && end.price === row.price,
		() =>
			`the log says ${end.status} for ${end.price}, the index ${row.status} for ${row.price}`,
	);
	const used = dataOf(log.find(({ type }) => type === "usage"));
	const owed = settle(row.status as Outcome["status"], spec.prices.rates, {
		prompt_tokens: Number(used.prompt_tokens ?? 0),
		output_tokens: tokens,
		images: spec.images.length,
	});
	const charged = { price: row.price, parts: end.price_parts };
	it(
		"the price is right",
		JSON.stringify(owed) === JSON.stringify(charged),
		() =>
			`${row.status} after ${tokens} tokens for ${JSON.stringify(charged)}, ` +
			`not ${JSON.stringify(owed)}`,
	);
	it(
		"no more than the cap",
		(row.price ?? 0) <= spec.maxPrice && row.hold === spec.maxPrice,
		() => `${row.price} of ${row.hold}, capped at ${spec.maxPrice}`,
	);
}

function checkBooks(account: GatheredAccount, it: Judge): void {
	const { balances, entries, jobs, deletedImages, due } = account;
	const books: Record<Book, number> = {
		funding: 0,
		available: 0,
		held: 0,
		revenue: 0,
	};
	let least = 0;
	for (const { source, target, amount, released } of entries) {
		books[source] -= amount + released;
		books[target] += amount;
		books.available += released;
		least = Math.min(least, books.available, books.held, books.revenue);
	}
	it("credit is never overspent", least === 0, () => `down to ${least}`);
	it(
		"books balance",
		JSON.stringify(books) ===
			JSON.stringify({
				funding: balances.funding,
				available: balances.available,
				held: balances.held,
				revenue: balances.revenue,
			}) &&
			Object.values(balances).reduce((sum, amount) => sum + amount, 0) === 0,
		() =>
			`entries sum to ${JSON.stringify(books)}, balances are ${JSON.stringify(balances)}`,
	);
	const orphans = due.filter((key) => key.startsWith("orphan:"));
	it(
		"nothing is held",
		books.held === 0 && deletedImages.length === 0 && orphans.length === 0,
		() =>
			`${books.held} held; deleted images ${list(deletedImages)}; due ${list(orphans)}`,
	);
	const known = new Set(jobs.map(({ id }) => id));
	const strays = entries.filter(
		({ kind, ref }) => kind !== "credit" && !known.has(ref),
	);
	it(
		"nothing runs unasked",
		strays.length === 0,
		() => `money moved for ${list(strays.map(({ ref }) => ref))}`,
	);
}

function checkAsked(
	{ asked, accounts, jobs: objects }: Gathered,
	jobs: Map<string, GatheredJob>,
	judge: (where: string) => Judge,
): void {
	const wanted = new Set<string>();
	for (const { account, name, ids, text, ends } of asked) {
		const it = judge(`${account}: ${name}`);
		const [id, ...others] = new Set(ids);
		if (id === undefined) continue; // it never got an answer; what it left is judged below
		it("one job for a name", others.length === 0, () => list([id, ...others]));
		wanted.add(`${account}/${id}`);
		const row = accounts
			.find((each) => each.id === account)
			?.jobs.find((each) => each.id === id);
		it(
			"ends as it may",
			row !== undefined && ends.includes(row.status),
			() => `${row?.status}, not ${list(ends)}`,
		);
		const { log } = jobs.get(`${account}/${id}`) ?? {};
		if (!log || text === null || !row) continue;
		const got = textOf(log);
		it(
			"the answer is the answer",
			row.status === "succeeded" ? got === text : text.startsWith(got),
			() => `${JSON.stringify(got)} instead of ${JSON.stringify(text)}`,
		);
	}
	if (asked.length === 0) return;
	// A caller that never had an answer may have a job all the same, but no more of them than names.
	const silent = asked.filter(({ ids }) => ids.length === 0).length;
	const rows = accounts.flatMap(({ id, jobs }) =>
		jobs.map((row) => `${id}/${row.id}`),
	);
	const unasked = rows.filter((name) => !wanted.has(name));
	judge("all accounts")(
		"nothing runs unasked",
		unasked.length <= silent,
		() => `${list(unasked)}, with ${silent} calls that had no answer`,
	);
	const known = new Set(rows);
	const strays = objects.map(nameOf).filter((name) => !known.has(name));
	judge("all accounts")(
		"nothing runs unasked",
		strays.length === 0,
		() => `job objects that no account knows: ${list(strays)}`,
	);
}

/** Every object has a row that will see to its end, and what is ready is there. */
function checkObjects(
	accounts: GatheredAccount[],
	objects: string[],
	it: Judge,
): void {
	const uploads = accounts.flatMap((account) => account.uploads);
	const minded = new Set([
		...uploads.map(({ key }) => key),
		...accounts.flatMap(({ due }) =>
			due.map((key) => key.slice(key.indexOf(":") + 1)),
		),
	]);
	const strays = objects.filter((key) => !minded.has(key));
	it(
		"objects and uploads agree",
		strays.length === 0,
		() => `nobody minds ${list(strays)}`,
	);
	const there = new Set(objects);
	const lost = uploads.filter(
		({ status, key }) => status === "ready" && !there.has(key),
	);
	it(
		"objects and uploads agree",
		lost.length === 0,
		() => `ready, but not there: ${list(lost.map(({ key }) => key))}`,
	);
}

/** All token texts joined. */
export const textOf = (events: LogEvent[]): string =>
	events
		.filter(({ type }) => type === "token")
		.map(({ data }) => JSON.parse(data).text)
		.join("");

/** For people. */
export const told = ({ rule, where, what }: Violation): string =>
	`${rule}: ${where}: ${what}`;

const nameOf = ({ account, id }: { account: string; id: string }) =>
	`${account}/${id}`;

const frames = (events: LogEvent[]): string =>
	events.map(({ seq, type, data }) => `${seq} ${type} ${data}`).join("\n");

const dataOf = (event: LogEvent | undefined): Record<string, unknown> =>
	event ? JSON.parse(event.data) : {};

const amount = (entry: Entry): number => entry.amount;

const sum = (entries: Entry[]): number =>
	entries.map(amount).reduce((total, each) => total + each, 0);

const sha256 = (text: string): string =>
	createHash("sha256").update(text).digest("hex");

const list = (items: readonly unknown[]): string =>
	items.length === 0
		? "none"
		: items.length > 8
			? `${items.slice(0, 8).join(", ")} and ${items.length - 8} more`
			: items.join(", ");
