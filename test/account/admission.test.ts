import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkAdmission, type Remaining } from "../../src/account/admission.ts";
import type { IndexedJob } from "../../src/account/jobs.ts";
import { post } from "../../src/account/ledger.ts";

const PRICE = 10;
const QUOTA = 3;

/** `end`: the job settled; `go`: it was deleted or expired. */
type Step =
	| { kind: "admit"; name: string; body: string; keyed: boolean }
	| { kind: "end" | "go"; name: string };

// Few names and bodies, so that repeats and conflicts are common.
const name = fc.constantFrom("a", "b", "c", "d", "e", "f");
const step: fc.Arbitrary<Step> = fc.oneof(
	{
		weight: 3,
		arbitrary: fc.record({
			kind: fc.constant("admit" as const),
			name,
			body: fc.constantFrom("x", "y"),
			keyed: fc.boolean(),
		}),
	},
	{
		weight: 1,
		arbitrary: fc.record({
			kind: fc.constantFrom("end" as const, "go" as const),
			name,
		}),
	},
);

/** What an account would hold after each step, by what was decided. */
function run(steps: readonly Step[]) {
	const jobs = new Map<string, IndexedJob>();
	const open = new Set<string>();
	let balances = { funding: -40, available: 40, held: 0, revenue: 0 };
	const answers: { step: object; answer: string; moved: number }[] = [];
	for (const each of steps) {
		const job = jobs.get(each.name) ?? null;
		if (each.kind !== "admit") {
			open.delete(each.name);
			if (job && each.kind === "go")
				jobs.set(each.name, { ...job, gone: true });
			continue;
		}
		const room: Remaining = {
			balances,
			jobs: { quota: QUOTA, remaining: QUOTA - open.size },
			tokens: { quota: 1, remaining: 1, reset: 0 },
			isFrozen: false,
			owed: 0,
			spend: null,
		};
		const admission = {
			jobId: each.name,
			idempotencyKey: each.keyed ? "key" : null,
			bodyHash: each.body,
			maxPrice: PRICE,
			leastPrice: 1,
			mostTokens: 1,
		};
		const verdict = checkAdmission(job, admission, room, 0);
		if (verdict.result === "new") {
			balances = { ...post(balances, verdict.entries) };
			open.add(each.name);
			jobs.set(each.name, {
				id: each.name,
				bodyHash: each.body,
				model: "nano",
				images: [],
				createdAt: 0,
				status: "accepted",
				gone: false,
				expiresIn: 1,
				prices: null,
				hold: { amount: PRICE, closed: null },
				webhook: null,
				madeBy: null,
				key: null,
			});
		}
		answers.push({
			step: each,
			answer:
				verdict.result === "refused" ? verdict.failure.code : verdict.result,
			moved: verdict.result === "new" ? verdict.entries.length : 0,
		});
		expect(open.size).toBeLessThanOrEqual(QUOTA);
		expect(balances.available).toBeGreaterThanOrEqual(0);
		if (!job)
			expect(["new", "insufficient_credit", "too_many_jobs"]).toContain(
				answers.at(-1)?.answer,
			);
		else if (job.gone) expect(answers.at(-1)?.answer).toBe("job_gone");
		else if (job.bodyHash === each.body)
			expect(verdict).toEqual({ result: "same", job });
		else
			expect(answers.at(-1)?.answer).toBe(
				each.keyed ? "idempotency_conflict" : "id_conflict",
			);
	}
	return { answers, balances };
}

describe("the admission of jobs", () => {
	it("makes each name a job at most once, whatever is asked in which order", () => {
		fc.assert(
			fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
				const { answers, balances } = run(steps);
				const news = answers.filter(({ answer }) => answer === "new");
				const names = news.map(({ step }) => (step as { name: string }).name);
				expect(new Set(names).size).toBe(names.length);
				expect(news.every(({ moved }) => moved === 1)).toBe(true);
				expect(balances.held).toBe(PRICE * news.length);
			}),
		);
	});

	it("reaches every answer", () => {
		const admit = (name: string, body = "x", keyed = false) =>
			({ kind: "admit", name, body, keyed }) as const;
		const end = (name: string) => ({ kind: "end", name }) as const;
		const { answers } = run([
			admit("a"),
			admit("a"),
			admit("a", "y"),
			admit("a", "y", true),
			{ kind: "go", name: "a" },
			admit("a", "y"),
			admit("b"),
			admit("c"),
			admit("d"),
			admit("e"),
			end("b"),
			end("c"),
			end("d"),
			admit("e"),
		]);
		expect(answers.map(({ answer }) => answer)).toEqual([
			"new",
			"same",
			"id_conflict",
			"idempotency_conflict",
			"job_gone",
			"new",
			"new",
			"new",
			"insufficient_credit",
			"insufficient_credit",
		]);
		const crowded = run(["a", "b", "c", "d"].map((name) => admit(name)));
		expect(crowded.answers.at(-1)?.answer).toBe("too_many_jobs");
	});
});
