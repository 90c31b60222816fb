/** Which job a call has that says that it repeats one. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { repeatedOf } from "../../src/account/jobs.ts";

const jobs = fc.array(
	fc.record({
		status: fc.constantFrom("accepted", "succeeded", "failed", "canceled"),
		repeats: fc.nat(3),
	}),
	{ maxLength: 6 },
);

it("no two repeats have one job while another one had none, and none has a canceled one", () => {
	fc.assert(
		fc.property(jobs, fc.nat(8), (all, repeats) => {
			const open = all.filter(({ status }) => status !== "canceled");
			for (let n = 0; n < repeats; n++) {
				const least = Math.min(...open.map((job) => job.repeats));
				const chosen = repeatedOf(all);
				if (!chosen) {
					expect(open).toEqual([]);
					return;
				}
				expect(open).toContain(chosen);
				expect(chosen.repeats).toBe(least);
				const equals = open.filter((job) => job.repeats === least);
				if (equals.some(({ status }) => status === "accepted"))
					expect(chosen.status).toBe("accepted");
				expect(chosen).toBe(
					equals.find(({ status }) => status === chosen.status) ?? chosen,
				);
				chosen.repeats++;
			}
		}),
	);
});
