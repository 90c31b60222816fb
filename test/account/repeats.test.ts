/** Which job a call has that says that it repeats one. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { chooseRepeated } from "../../src/account/jobs.ts";

const jobs = fc.array(
	fc.record({
		status: fc.constantFrom("accepted", "succeeded", "failed", "canceled"),
		repeats: fc.nat(3),
	}),
	{ maxLength: 6 },
);

it("no two repeats have one running job while another has none; none has a canceled one", () => {
	fc.assert(
		fc.property(jobs, fc.nat(8), (all, repeats) => {
			const open = all.filter(({ status }) => status !== "canceled");
			const running = open.filter(({ status }) => status === "accepted");
			const wanted = running.length > 0 ? running : open;
			for (let n = 0; n < repeats; n++) {
				const least = Math.min(...wanted.map((job) => job.repeats));
				const chosen = chooseRepeated(all);
				if (!chosen) {
					expect(open).toEqual([]);
					return;
				}
				// The oldest of those that had the fewest.
				expect(chosen).toBe(wanted.find((job) => job.repeats === least));
				chosen.repeats++;
			}
		}),
	);
});
