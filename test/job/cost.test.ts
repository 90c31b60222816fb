/** What a job costs on Cloudflare: the rows that its object writes, and the alarms that it sets. */
import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { admittedJob, events, fakeWorker, words } from "../support/jobs.ts";

it.each([
	["a short answer", 8, 0, 5],
	["a long one, which is folded", 40, 40, 8],
])(
	"%s costs a fixed number of rows, one for each batch, and two for the alarm",
	async (_, tokens, every, fixed) => {
		fakeWorker({ tokens: words(tokens), every });
		const job = await admittedJob();
		const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
		let alarms = 0;
		await runInDurableObject(job.stub(), (_, { storage }) => {
			const sql = storage.sql;
			const exec = sql.exec.bind(sql);
			// Records what the object executes from now on, through its own handle.
			sql.exec = ((...args: Parameters<typeof exec>) => {
				const cursor = exec(...args);
				cursors.push(cursor);
				return cursor;
			}) as typeof sql.exec;
			const setAlarm = storage.setAlarm;
			const deleteAlarm = storage.deleteAlarm;
			storage.setAlarm = (...args) => {
				alarms++;
				return setAlarm.apply(storage, args);
			};
			storage.deleteAlarm = (...args) => {
				alarms++;
				return deleteAlarm.apply(storage, args);
			};
		});
		await job.stub().start(job.spec);
		const seen = await events(job);
		const batches = seen.filter(({ type }) => type === "token").length;
		const rows = cursors.reduce((sum, cursor) => sum + cursor.rowsWritten, 0);
		// One more where the end came without tokens of its own.
		expect([0, 1]).toContain(rows - fixed - batches);
		// Set and deleted; a slow machine may see it fire in between.
		expect(alarms).toBeLessThanOrEqual(4);
	},
);
