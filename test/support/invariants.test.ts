import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { LogEvent } from "../../src/contract/job.ts";
import {
	type Gathered,
	type GatheredJob,
	NOTHING,
	type Rule,
	violations,
} from "./invariants.ts";
import { ONE_EACH, oneEach } from "./prices.ts";

const HOLD = 1000;
const MAX_TOKENS = 8;
const PROMPT = 10;

const FREE_OF_CHARGE = { prompt_tokens: 0, output_tokens: 0, images: 0 };

/** The log of a job that showed these tokens. */
function logOf(
	tokens: string[],
	status: string,
	paid: ReturnType<typeof oneEach>,
): LogEvent[] {
	const text = tokens.join("");
	const events: [string, object][] = [
		["job.queued", { status: "queued" }],
		["job.running", { status: "running" }],
		...tokens.map((text): [string, object] => ["token", { text }]),
		["usage", { prompt_tokens: PROMPT, output_tokens: tokens.length }],
		[`job.${status}`, { status, ...paid }],
		[
			"done",
			{
				last_seq: tokens.length + 5,
				tokens: tokens.length,
				bytes: new TextEncoder().encode(text).length,
				sha256: createHash("sha256").update(text).digest("hex"),
			},
		],
	];
	return events.map(([type, data], n) => ({
		seq: n + 1,
		type,
		data: JSON.stringify(data),
	}));
}

const jobOf = (id: string, tokens: string[], status: string): GatheredJob => ({
	account: "a",
	id,
	log: logOf(
		tokens,
		status,
		oneEach({ prompt_tokens: PROMPT, output_tokens: tokens.length }),
	),
	tokens: tokens.length,
	maxTokens: MAX_TOKENS,
	spec: { prices: ONE_EACH, images: [], maxPrice: HOLD },
});

/** An account with jobs that succeeded, were canceled and were deleted; nothing is wrong. */
function sound(): Gathered {
	const [whole, part] = [
		jobOf("whole", ["a", " ü", " b"], "succeeded"),
		jobOf("part", ["a"], "canceled"),
	];
	const entry = (
		kind: "hold" | "settle" | "release",
		ref: string,
		amount: number,
		released = 0,
	) => {
		const way = {
			hold: { source: "available", target: "held" },
			settle: { source: "held", target: "revenue" },
			release: { source: "held", target: "available" },
		} as const;
		return { kind, ref, amount, released, ...way[kind] };
	};
	const row = (id: string, status: string, price: number, gone = false) => ({
		id,
		status,
		price,
		gone,
		hold: HOLD,
	});
	return {
		accounts: [
			{
				id: "a",
				balances: {
					funding: -5000,
					available: 4976,
					held: 0,
					revenue: 24,
				},
				entries: [
					{
						kind: "credit",
						ref: "first",
						source: "funding",
						target: "available",
						amount: 5000,
						released: 0,
					},
					entry("hold", "whole", HOLD),
					entry("settle", "whole", 13, 987),
					entry("hold", "part", HOLD),
					entry("settle", "part", 11, 989),
					entry("hold", "erased", HOLD),
					entry("release", "erased", HOLD),
				],
				jobs: [
					row("whole", "succeeded", 13),
					row("part", "canceled", 11),
					row("erased", "failed", 0, true),
				],
				uploads: [
					{ id: "img_1", status: "ready", key: "images/a/img_1" },
					{ id: "img_2", status: "pending", key: "images/a/img_2" },
				],
				deletedImages: [],
				due: ["expire:whole", "expire:part", "object:images/a/img_3"],
				mismatch: null,
			},
		],
		jobs: [
			whole,
			part,
			{
				account: "a",
				id: "erased",
				log: null,
				tokens: 0,
				maxTokens: 0,
				spec: null,
			},
		],
		readers: [
			{ account: "a", job: "whole", after: 0, events: whole.log ?? [] },
			{
				account: "a",
				job: "whole",
				after: 3,
				events: whole.log?.slice(3) ?? [],
			},
			{
				account: "a",
				job: "erased",
				after: 0,
				events: logOf(["x"], "failed", oneEach({})),
			},
		],
		asked: [
			{
				account: "a",
				name: "PUT whole",
				ids: ["whole", "whole"],
				text: "a ü b",
				ends: ["succeeded"],
			},
			{
				account: "a",
				name: "key 7",
				ids: ["part"],
				text: "a b",
				ends: ["succeeded", "canceled"],
			},
			{
				account: "a",
				name: "no answer",
				ids: [],
				text: "",
				ends: ["failed"],
			},
		],
		pools: [{ model: "nano", leased: [], waiting: [] }],
		objects: ["images/a/img_1", "images/a/img_3"],
	};
}

// biome-ignore lint/suspicious/noExplicitAny: what breaks a rule need not be well-typed
type Break = (gathered: any) => void;

/** For each rule, ways to break it. */
const breaks: Record<Rule, Record<string, Break>> = {
	"log is whole": {
		"an event is missing": (g) => g.jobs[1].log.splice(1, 1),
		"an event has another's number": (g) => {
			g.jobs[1].log[1].seq = 1;
		},
	},
	"one end": {
		"it ended twice": (g) => {
			const { log } = g.jobs[1];
			log[1] = { ...log.at(-2), seq: 2 };
		},
		"it never ended": (g) => g.jobs[1].log.splice(-2, 2),
		"something follows `done`": (g) =>
			g.jobs[1].log.push({ seq: 7, type: "token", data: '{"text":""}' }),
	},
	"done tells the truth": {
		"another text": (g) => {
			g.jobs[1].log[2].data = '{"text":"b"}';
		},
		"fewer tokens": (g) => {
			g.jobs[0].tokens = 2;
		},
	},
	"no more tokens than asked": {
		"one too many": (g) => {
			g.jobs[0].maxTokens = 2;
		},
	},
	"readers see the log": {
		"one missed an event": (g) => {
			g.readers[0].events = g.readers[0].events.toSpliced(3, 1);
		},
		"one saw an event twice": (g) => {
			g.readers[1].events = [g.readers[1].events[0], ...g.readers[1].events];
		},
		"one saw another text": (g) => {
			g.readers[0].events = logOf(
				["a", " u", " b"],
				"succeeded",
				oneEach({ prompt_tokens: PROMPT, output_tokens: 3 }),
			);
		},
		"one was left in the middle": (g) => {
			g.readers[0].events = g.readers[0].events.slice(0, 4);
		},
		"one of an erased job cannot trust its checksum": (g) => {
			g.readers[2].events[2].data = '{"text":"y"}';
		},
	},
	"one job for a name": {
		"a repeat ran as another": (g) => {
			g.asked[0].ids = ["whole", "part"];
		},
	},
	"nothing runs unasked": {
		"a job too many": (g) => g.asked.pop(),
		"money moved for nobody": (g) => {
			const { entries } = g.accounts[0];
			entries.push({ ...entries.at(-2), ref: "nobody" });
			entries.push({ ...entries.at(-2), ref: "nobody" });
		},
		"an object that no account knows": (g) =>
			g.jobs.push({ ...g.jobs[1], id: "stray" }),
	},
	"the answer is the answer": {
		"another one": (g) => {
			g.asked[0].text = "b";
		},
		"only a part": (g) => {
			g.asked[0].text = "a ü b c";
		},
		"a part of another one": (g) => {
			g.asked[1].text = "b a";
		},
	},
	"ends as it may": {
		"it failed": (g) => {
			g.asked[1].ends = ["succeeded"];
		},
		"nobody knows it": (g) => {
			g.asked[2].ids = ["unknown"];
		},
	},
	"one settlement": {
		"none yet": (g) => {
			g.accounts[0].jobs[2].price = null;
		},
		"two of a job": (g) => {
			const { entries, balances } = g.accounts[0];
			entries.splice(4, 1, { ...entries[4], amount: 6, released: 0 });
			entries.push({ ...entries[4], amount: 5, released: 989 });
			expect(balances.revenue).toBe(24);
		},
		"more given back than held": (g) => {
			const [row] = g.accounts[0].jobs;
			row.hold = 999;
		},
	},
	"the price is right": {
		"a failure cost something": (g) => {
			g.accounts[0].jobs[0].status = "failed";
		},
		"a success cost nothing": (g) => {
			g.jobs[0].spec.prices = { ...ONE_EACH, rates: FREE_OF_CHARGE };
		},
		"a token was paid that nobody saw": (g) => {
			g.jobs[1].tokens = 2;
		},
		"its parts are those of another price": (g) => {
			const { log } = g.jobs[0];
			log[6].data = log[6].data.replace("3.000000", "2.000000");
		},
	},
	"no more than the cap": {
		"it was exceeded": (g) => {
			g.jobs[0].spec.maxPrice = 12;
		},
		"another amount was held": (g) => {
			g.jobs[0].spec.maxPrice = 1_001;
		},
	},
	"books balance": {
		"money came from nowhere": (g) => {
			g.accounts[0].balances.available++;
		},
		"an entry was not posted": (g) => {
			const { entries } = g.accounts[0];
			entries.push({ ...entries[0], ref: "second" });
		},
	},
	"credit is never overspent": {
		"it was held before it came": (g) => {
			const { entries } = g.accounts[0];
			entries.push(entries.shift());
		},
	},
	"nothing is held": {
		"an image is": (g) => g.accounts[0].deletedImages.push("part"),
		"a job is asked after": (g) => g.accounts[0].due.push("orphan:part"),
	},
	"log and index agree": {
		"another end": (g) => {
			g.accounts[0].jobs[1].status = "expired";
		},
		"deleted, and still there": (g) => {
			g.accounts[0].jobs[1].gone = true;
		},
		"listed, and erased": (g) => {
			g.accounts[0].jobs[2].gone = false;
		},
	},
	"no slot is taken": {
		"one is": (g) => g.pools[0].leased.push("a/whole"),
	},
	"nobody waits": {
		"one does": (g) => g.pools[0].waiting.push("a/part"),
	},
	"objects and uploads agree": {
		"an object that nobody minds": (g) => g.objects.push("images/a/img_9"),
		"an upload without its object": (g) => g.objects.shift(),
	},
};

describe("the invariants", () => {
	it("find no fault where there is none", () => {
		expect(violations(sound())).toEqual([]);
	});

	it("say nothing of what was not gathered", () => {
		expect(violations(NOTHING)).toEqual([]);
	});

	for (const [rule, ways] of Object.entries(breaks))
		it.each(Object.entries(ways))(
			`see that ${rule} is broken: %s`,
			(_, way) => {
				const gathered = structuredClone(sound());
				way(gathered);
				const found = violations(gathered).map((violation) => violation.rule);
				expect(found).toContain(rule);
			},
		);
});
