/** A job's tables, version by version. A step that shipped never changes; a new one goes to the end. */
import { EventLog } from "./log.ts";

export const STEPS: readonly ((sql: SqlStorage) => void)[] = [
	(sql) => {
		// One row. A tombstone has no spec.
		sql.exec(`CREATE TABLE job (
			spec TEXT,
			state TEXT,
			prompt_ids TEXT
		)`);
		EventLog.create(sql);
	},
	(sql) => {
		// Jobs of the version before were promised no deadlines, and nobody's leaving ends them.
		const terms = {
			startBy: null,
			endBy: null,
			cancelAt: null,
			onDisconnect: "continue",
		};
		const spec = { ...terms, maxPrice: 0, expiresIn: 604_800, trace: null };
		const state = {
			terms,
			since: Date.now(),
			place: null,
			avoid: null,
			run: null,
			watched: false,
			leftAt: null,
		};
		for (const job of sql.exec<{ spec: string; state: string }>(
			"SELECT spec, state FROM job WHERE spec IS NOT NULL",
		))
			sql.exec(
				"UPDATE job SET spec = ?, state = ?",
				JSON.stringify({ ...JSON.parse(job.spec), ...spec }),
				JSON.stringify({ ...JSON.parse(job.state), ...state }),
			);
	},
	(sql) => {
		// What was asked was one user's text, after all images.
		for (const job of sql.exec<{ spec: string }>(
			"SELECT spec FROM job WHERE spec IS NOT NULL",
		)) {
			const { prompt, ...spec } = JSON.parse(job.spec);
			const images = spec.images.map(() => ({ type: "image" }));
			const content = [...images, { type: "text", text: prompt }];
			sql.exec(
				"UPDATE job SET spec = ?",
				JSON.stringify({ ...spec, messages: [{ role: "user", content }] }),
			);
		}
	},
	(sql) => {
		sql.exec(
			"UPDATE job SET state = json_set(state, '$.interruptions', 0) WHERE state IS NOT NULL",
		);
	},
	(sql) => {
		// A lost reader had ten seconds from `leftAt`. What is left of an erased job is no state and has none.
		sql.exec(
			"UPDATE job SET state = json_set(json_remove(state, '$.leftAt'), '$.abandonedAt', state ->> '$.leftAt' + 10000) WHERE spec IS NOT NULL",
		);
	},
];
