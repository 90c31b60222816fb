import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { scan } from "../../src/job/stop.ts";

/** Scans pieces as a job does over several attempts: only `shown` and `withheld` outlive one. */
function readAll(stops: string[], pieces: string[]) {
	let shown = "";
	let withheld = "";
	for (const piece of pieces) {
		const next = scan(stops, withheld, piece);
		shown += next.shown;
		withheld = next.withheld;
		if (next.hit) return { shown, hit: true };
	}
	return { shown: shown + withheld, hit: false };
}

/** Words over four letters, so that stop strings do occur. */
const word = (maxLength: number) =>
	fc
		.array(fc.constantFrom("a", "b", "é", "😀"), { minLength: 1, maxLength })
		.map((letters) => letters.join(""));
const stops = fc.array(word(4), { maxLength: 4 });

describe("stop strings", () => {
	it("end the text at the same place however it is cut into tokens", () => {
		fc.assert(
			fc.property(stops, fc.array(word(3), { maxLength: 12 }), (list, cut) => {
				const whole = readAll(list, [cut.join("")]);
				expect(readAll(list, cut)).toEqual(whole);
				expect(readAll(list, [...cut.join("")])).toEqual(whole);
			}),
			{ numRuns: 2000 },
		);
	});

	it("are never shown, nor is any text after them", () => {
		fc.assert(
			fc.property(stops, fc.array(word(3), { maxLength: 12 }), (list, cut) => {
				const { shown, hit } = readAll(list, cut);
				const text = cut.join("");
				expect(text.startsWith(shown)).toBe(true);
				expect(list.some((stop) => shown.includes(stop))).toBe(false);
				expect(hit).toBe(list.some((stop) => text.includes(stop)));
				if (!hit) expect(shown).toBe(text);
			}),
			{ numRuns: 2000 },
		);
	});

	it("hold back no more than their longest beginning at the end of the text", () => {
		expect(scan(["###", "END"], "", "the EN")).toEqual({
			shown: "the ",
			withheld: "EN",
			hit: false,
		});
		expect(scan(["###", "END"], "EN", "tire")).toEqual({
			shown: "ENtire",
			withheld: "",
			hit: false,
		});
		expect(scan(["###", "END"], "EN", "D of it")).toEqual({
			shown: "",
			withheld: "",
			hit: true,
		});
	});
});
