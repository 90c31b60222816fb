/** The days of `npm run simulate`; what became of them goes back to it with each test. */
import { inject, it } from "vitest";
import { day } from "./day.ts";
import { type Played, reportOf } from "./report.ts";

declare module "vitest" {
	interface ProvidedContext {
		seeds: number[];
		jobs: number;
	}
	interface TaskMeta {
		played?: Played;
	}
}

for (const seed of inject("seeds"))
	it(`seed ${seed}`, async ({ task }) => {
		const story = await day({ seed, jobs: inject("jobs") });
		const seconds = (ms: number) => Math.round(ms / 100) / 10;
		task.meta.played = {
			report: reportOf(story),
			signals: story.signals,
			quotes: story.jobs.flatMap(({ account, quote, startedAt, at }) =>
				quote && startedAt !== null
					? [
							[
								account,
								seconds(quote.start.p50),
								seconds(quote.start.p90),
								seconds(startedAt - at),
							],
						]
					: [],
			),
			before: story.jobs
				.filter(({ first, account }) => first && account > 0)
				.map(({ overtaken }) => overtaken),
		};
	});
