// @ts-check
/**
 * `npm run bench -- ledger`: what a hold with its settlement takes, and an audit, in accounts with
 * ledgers of several lengths, before and after their old months went to the bucket.
 */
import { FakeWorker } from "../support/fake-worker.ts";
import { fakeStack } from "./fake-stack.mjs";
import { median, rounded } from "./figures.mjs";
import { framed, inTurns } from "./frame.mjs";
import { percentile } from "./load.mjs";

const HELP = `npm run bench -- ledger [options]

  --jobs <n>    that hold and settle in each round (300)
  --rounds <n>  of each length, taking turns (3)
  --large <n>   entries of the longest ledger (200000)
`;

const ENTRY = "test/support/counted-edge.ts";
/** How old the entries are: of months that may go to the bucket. */
const DAYS = 120;
/** The lengths, of the longest. */
const LENGTHS = /** @type {const} */ ([0, 0.1, 1]);

/** @param {string[]} args @returns {Promise<number>} exit code */
export const ledger = (args) =>
	framed(
		args,
		HELP,
		{ jobs: 300, rounds: 3, large: 200_000 },
		(options, board, editions) =>
			inTurns(options.rounds, editions, (edition) =>
				begin(edition, options, board),
			),
	);

/**
 * @param {import("./edition.mjs").Edition} edition
 * @param {{ jobs: number, large: number }} options
 * @param {import("../../scripts/terminal.mjs").Board} board
 * @returns {Promise<import("./frame.mjs").Measuring>}
 */
async function begin(edition, { jobs, large }, board) {
	const { edge, adminSecret, stopWorker } = await fakeStack({
		name: "bench-ledger",
		edition,
		worker: new FakeWorker({ tokens: ["a"] }),
		entry: ENTRY,
	});
	/** @param {string} path @param {object} [body] @returns {Promise<any>} */
	const post = async (path, body) => {
		const answer = await fetch(`${edge.url}${path}`, {
			method: "POST",
			headers: {
				Authorization: `Bearer ${adminSecret}`,
				...(body && { "Content-Type": "application/json" }),
			},
			...(body && { body: JSON.stringify(body) }),
		});
		if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
		return answer.status === 204 ? null : answer.json();
	};
	/** @param {string} path @returns {Promise<{ ms: number, answer: any }>} */
	const timed = async (path) => {
		const from = performance.now();
		const answer = await post(path);
		return { ms: performance.now() - from, answer };
	};

	/** @type {Map<number, { id: string, first: object, rounds: number[][][] }>} */
	const accounts = new Map();
	for (const share of LENGTHS) {
		const entries = Math.round(large * share);
		const row = board.row(`${entries} entries`, "filling");
		const { id } = await post("/admin/accounts", { name: "bench" });
		const credit = { id: "bench", amount: 1_000_000_000 };
		await post(`/admin/accounts/${id}/credits`, credit);
		// A hold and a settlement each.
		if (entries > 0)
			await post(`/bench/jobs?account=${id}&count=${entries / 2}&days=${DAYS}`);
		/** @param {string} what @returns {Promise<number[]>} */
		const settle = async (what) => {
			row.detail = what;
			return post(`/bench/settle?account=${id}&count=${jobs}`);
		};
		await settle("warming");
		const whole = await settle("before its months go");
		row.detail = "audit, and months to the bucket";
		const tended = await timed(`/bench/tend?account=${id}`);
		accounts.set(entries, {
			id,
			first: {
				holdAndSettleMs: spread(whole),
				auditAndRollMs: tended.ms,
				entriesLeft: tended.answer.entries,
			},
			rounds: [],
		});
		row.done();
	}
	return {
		async round(n) {
			const row = board.row(`round ${n + 1}`, edition.name);
			const all = [...accounts.values()];
			for (const { id, rounds } of n % 2 ? all.toReversed() : all) {
				const ms = await post(`/bench/settle?account=${id}&count=${jobs}`);
				const audit = await timed(`/bench/tend?account=${id}`);
				rounds.push([ms, [audit.ms]]);
			}
			row.done();
		},
		async end() {
			await edge.stop();
			await stopWorker();
			const figures = [...accounts].map(([entries, { first, rounds }]) => [
				entries,
				{
					...first,
					rolledOver: {
						holdAndSettleMs: {
							p50: median(rounds.map(([ms = []]) => percentile(ms, 0.5))),
							p99: median(rounds.map(([ms = []]) => percentile(ms, 0.99))),
						},
						auditOfNewMs: median(rounds.map(([, [ms = 0] = []]) => ms)),
					},
				},
			]);
			return { figures: rounded(Object.fromEntries(figures)) };
		},
	};
}

/** @param {number[]} ms */
const spread = (ms) => ({
	p50: percentile(ms, 0.5),
	p99: percentile(ms, 0.99),
});
