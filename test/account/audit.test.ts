import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	audit,
	auditEnd,
	type Checkpoint,
	type CreditRecord,
	type JobRecord,
	type PostedEntry,
} from "../../src/account/audit.ts";
import {
	type Balances,
	BOOKS,
	decide,
	type LedgerEvent,
	post,
} from "../../src/account/ledger.ts";
import { ENTRY_KINDS } from "../../src/contract/ledger.ts";

const START: Checkpoint = {
	seq: 0,
	balances: { funding: 0, available: 0, held: 0, revenue: 0 },
	open: new Map(),
};

/** An account's ledger, and its rows of jobs and credits. */
interface History {
	entries: PostedEntry[];
	jobs: Map<string, JobRecord>;
	credits: Map<string, CreditRecord>;
}

/** Few ids, so that jobs close, and credits repeat. */
const id = fc.constantFrom("a", "b", "c", "d", "e", "f");
const step: fc.Arbitrary<LedgerEvent & { after: number }> = fc.oneof(
	fc.record({
		kind: fc.constant("credit" as const),
		id,
		amount: fc.integer({ min: 1, max: 3_000 }),
		after: fc.integer({ min: 1, max: 9 }),
	}),
	fc.record({
		kind: fc.constant("hold" as const),
		job: id,
		amount: fc.integer({ min: 0, max: 900 }),
		after: fc.integer({ min: 1, max: 9 }),
	}),
	fc.record({
		kind: fc.constant("close" as const),
		job: id,
		price: fc.integer({ min: 0, max: 900 }),
		after: fc.integer({ min: 1, max: 9 }),
	}),
);

/** What the Account would write, step by step. */
function historyOf(steps: readonly (LedgerEvent & { after: number })[]) {
	const entries: PostedEntry[] = [];
	const jobs = new Map<string, JobRecord>();
	const credits = new Map<string, CreditRecord>();
	let { balances } = START;
	let now = 0;
	for (const event of steps) {
		now += event.after;
		const job = "job" in event ? jobs.get(event.job) : undefined;
		if (event.kind === "close" && (!job || event.price > job.hold)) continue;
		const ledger = {
			balances,
			credits: new Map(
				[...credits].map(([name, { amount }]) => [name, amount]),
			),
			holds: new Map(
				[...jobs].map(([name, { hold, closed }]) => [
					name,
					{ amount: hold, closed },
				]),
			),
		};
		const decision = decide(ledger, event, now);
		if (!decision.ok) continue;
		const { closing } = decision;
		if (event.kind === "credit" && !credits.has(event.id))
			credits.set(event.id, { amount: event.amount, at: now });
		if (event.kind === "hold" && !job)
			jobs.set(event.job, { hold: event.amount, createdAt: now, closed: null });
		if (event.kind === "close" && job && !job.closed && closing)
			jobs.set(event.job, { ...job, closed: closing });
		for (const entry of decision.entries) {
			balances = post(balances, [entry]);
			const seq = entries.length + 1;
			entries.push({ ...entry, seq, at: now, balances, record: null });
		}
	}
	return { entries, jobs, credits };
}

/** The entries as they are read: each with the row that its kind and name lead to. */
const read = ({ entries, jobs, credits }: History): PostedEntry[] =>
	entries.map((entry) => ({
		...entry,
		record: (entry.kind === "credit" ? credits : jobs).get(entry.ref) ?? null,
	}));

const openJobs = ({ jobs }: History): Map<string, number> =>
	new Map(
		[...jobs]
			.filter(([, { closed, hold }]) => !closed && hold > 0)
			.map(([name, { hold }]) => [name, hold]),
	);

/** Audits a history in slices of these lengths. @returns what is wrong, or the last checkpoint */
function inSlices(
	history: History,
	lengths: readonly number[],
): string | Checkpoint {
	let from = START;
	const rest = read(history);
	for (const length of [...lengths, Number.POSITIVE_INFINITY]) {
		const result = audit(from, rest.splice(0, length));
		if (!result.ok) return result.mismatch;
		from = result.checkpoint;
	}
	return auditEnd(from, openJobs(history)) ?? from;
}

const history = fc.array(step, { maxLength: 60 }).map(historyOf);
const slices = fc.array(fc.nat({ max: 9 }), { maxLength: 12 });

const CELLS = [
	"seq",
	"at",
	"kind",
	"ref",
	"source",
	"target",
	"amount",
	"released",
	...BOOKS,
] as const;
const NAMES = ["a", "b", "c", "d", "e", "f", "g"];
const OTHERS: Partial<Record<(typeof CELLS)[number], readonly string[]>> = {
	kind: [...ENTRY_KINDS, "gift"],
	ref: NAMES,
	source: BOOKS,
	target: BOOKS,
};

/** The entry with another value in one cell. */
function spoiled(
	entry: PostedEntry,
	cell: (typeof CELLS)[number],
	{ other, by }: { other: number; by: number },
): PostedEntry {
	const names = OTHERS[cell]?.filter((name) => name !== entry[cell as "ref"]);
	if (names) return { ...entry, [cell]: names[other % names.length] };
	const book = BOOKS.find((each) => each === cell);
	if (!book) return { ...entry, [cell]: entry[cell as "amount"] + by };
	const balances: Balances = {
		...entry.balances,
		[book]: entry.balances[book] + by,
	};
	return { ...entry, balances };
}

describe("the audit of a ledger", () => {
	it("finds every history right, in any slices, and ends at the same point", () => {
		fc.assert(
			fc.property(history, slices, (made, lengths) => {
				const { entries } = made;
				expect(inSlices(made, lengths)).toEqual({
					seq: entries.length,
					balances: entries.at(-1)?.balances ?? START.balances,
					open: openJobs(made),
				});
			}),
		);
	});

	it("finds every single changed cell, in any slices", () => {
		const found = new Map<string, number>();
		fc.assert(
			fc.property(
				history.filter(({ entries }) => entries.length > 0),
				slices,
				fc.nat(),
				fc.constantFrom(...CELLS),
				fc.record({
					other: fc.nat({ max: 100 }),
					by: fc
						.oneof(
							fc.integer({ min: -3, max: 3 }),
							fc.integer({ min: -4_000, max: 4_000 }),
						)
						.filter((by) => by !== 0),
				}),
				(made, lengths, index, cell, change) => {
					const entries = [...made.entries];
					const at = index % entries.length;
					entries[at] = spoiled(entries[at] as PostedEntry, cell, change);
					const result = inSlices({ ...made, entries }, lengths);
					expect(result).toBeTypeOf("string");
					found.set(cell, (found.get(cell) ?? 0) + 1);
				},
			),
			{ numRuns: 2_000 },
		);
		expect([...found.keys()].sort()).toEqual([...CELLS].sort());
	});

	it("finds an entry that is missing, or there twice", () => {
		fc.assert(
			fc.property(
				history.filter(({ entries }) => entries.length > 0),
				slices,
				fc.nat(),
				fc.boolean(),
				(made, lengths, index, twice) => {
					const at = index % made.entries.length;
					const again = made.entries.slice(at, at + 1);
					const entries = made.entries.toSpliced(
						at,
						1,
						...(twice ? [...again, ...again] : []),
					);
					const numbered = entries.map((entry, n) => ({
						...entry,
						seq: n + 1,
					}));
					const last = at === made.entries.length - 1;
					const zero = again[0]?.amount === 0;
					// The newest credit is in no entry then, and a hold of 0 moves nothing.
					fc.pre(!zero && !(last && !twice && again[0]?.kind === "credit"));
					expect(inSlices({ ...made, entries: numbered }, lengths)).toBeTypeOf(
						"string",
					);
				},
			),
		);
	});

	it("says which entry is wrong, what it says, and what follows", () => {
		const made = historyOf([
			{ kind: "credit", id: "a", amount: 900, after: 1 },
			{ kind: "hold", job: "b", amount: 500, after: 1 },
			{ kind: "close", job: "b", price: 200, after: 1 },
		]);
		const [credit, hold, settle] = made.entries as [
			PostedEntry,
			PostedEntry,
			PostedEntry,
		];
		const said = (entries: PostedEntry[]) => inSlices({ ...made, entries }, []);
		const balances = { ...hold.balances, available: 401 };
		expect(said([credit, { ...hold, balances }, settle])).toBe(
			"entry 2: available is 401, and 400 follows",
		);
		expect(said([credit, hold, { ...settle, seq: 4 }])).toBe(
			"entry 4: it follows entry 2",
		);
		expect(said([credit, { ...hold, ref: "x" }, settle])).toBe(
			"entry 2: there is no such job",
		);
		expect(said([credit, hold])).toBe(
			"after entry 2: job b has closed, and holds 500",
		);
	});
});
