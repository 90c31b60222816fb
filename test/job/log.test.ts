import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { LogEvent } from "../../src/contract/job.ts";
import { EventLog } from "../../src/job/log.ts";
import { bindings } from "../support/account.ts";

/** Runs `act` with the log of a new object. */
const withLog = (
	name: string,
	act: (log: EventLog, sql: SqlStorage) => void,
): Promise<void> =>
	runInDurableObject(
		bindings.JOB.get(bindings.JOB.idFromName(`log/${name}`)),
		(_, { storage: { sql } }) => {
			EventLog.create(sql);
			act(new EventLog(sql), sql);
		},
	);

const batch = (text: string, ids: number[]) => ({
	text,
	ids,
	tokens: ids.length,
	withheld: "",
});

/** All events after `seq`, read message by message as a reader gets them. */
function replay(log: EventLog, seq: number): LogEvent[] {
	const events: LogEvent[] = [];
	for (;;) {
		const next = log.between(events.at(-1)?.seq ?? seq, log.lastSeq);
		if (next.length === 0) return events;
		events.push(...next);
	}
}

describe("a log", () => {
	it("reads the same before and after it is closed, from any event on, also when reopened", () =>
		withLog("closed", (log, sql) => {
			log.append([["job.queued", { status: "queued" }]], {
				spec: "{}",
				state: "1",
			});
			const first = { state: "2", promptIds: "[7]" };
			for (let n = 0; n < 200; n++)
				log.appendTokens(
					"description",
					batch(` "wört" ${n}`, [n, n + 1]),
					n === 0 ? first : {},
				);
			log.append([["job.retrying", { attempt: 2 }]], { state: "3" });
			for (let n = 200; n < 600; n++)
				log.appendTokens(
					"answer",
					batch(` "wört" ${n}`, [n, n + 1]),
					n === 200 ? { ...first, promptIds: "[8]" } : {},
				);
			log.appendTokens("answer", {
				text: "!",
				ids: [],
				tokens: 0,
				withheld: "",
			});
			expect(new EventLog(sql)).toMatchObject({
				description: log.description,
				answer: log.answer,
			});
			expect(log.description).toMatchObject({ tokens: 400, promptIds: [7] });
			expect(log.answer).toMatchObject({ tokens: 800, promptIds: [8] });
			const before = replay(log, 0);
			log.append(
				[
					["usage", { images: 0 }],
					["done", { tokens: 1200 }],
				],
				{ state: "4" },
			);
			log.compact();
			const opened = new EventLog(sql);
			expect(opened).toMatchObject({
				lastSeq: 605,
				tokens: 1200,
				spec: "{}",
				state: "4",
				// A closed log is never continued, so no prompt is kept.
				description: { ...log.description, promptIds: null },
				answer: { ...log.answer, promptIds: null },
			});
			for (const each of [log, opened]) {
				const whole = replay(each, 0);
				expect(whole.slice(0, -2)).toEqual(before);
				expect(whole.map(({ seq }) => seq)).toEqual(whole.map((_, n) => n + 1));
				for (const seq of [1, 2, 255, 256, 257, 512, 602, 604, 605])
					expect(replay(each, seq)).toEqual(whole.slice(seq));
			}
			const rows = sql.exec("SELECT seq FROM event").toArray();
			expect(rows).toEqual([{ seq: 202 }, { seq: 605 }]);
		}));

	it("in long rows is sent in messages of bounded length", () =>
		withLog("long", (log, sql) => {
			const text = "x".repeat(20_000);
			for (let n = 0; n < 60; n++) log.appendTokens("answer", batch(text, [n]));
			log.append([["done", {}]], { state: "1" });
			log.compact();
			expect(sql.exec("SELECT seq FROM event").toArray()).toHaveLength(20);
			let seq = 0;
			for (let messages = 0; seq < log.lastSeq; messages++) {
				const events = log.between(seq, log.lastSeq);
				expect(JSON.stringify(events).length).toBeLessThan(350_000);
				expect(messages).toBeLessThan(10);
				seq = events.at(-1)?.seq ?? Number.NaN;
			}
		}));

	it("counts tokens of a backend that reports no ids", () =>
		withLog("nameless", (log, sql) => {
			for (let n = 0; n < 40; n++)
				log.appendTokens("answer", {
					text: "two words",
					ids: [],
					tokens: 2,
					withheld: "",
				});
			const answer = { tokens: 80, ids: [] };
			expect(new EventLog(sql)).toMatchObject({ answer });
			log.compact();
			expect(new EventLog(sql)).toMatchObject({ answer });
		}));
});
