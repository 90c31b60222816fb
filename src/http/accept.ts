/** What of several types an `Accept` header prefers (RFC 9110, 12.5.1). */

interface Range {
	type: string;
	/** What else a type must have to be meant; it only makes the range more specific. */
	parameters: number;
	/** 0 is "not acceptable". */
	weight: number;
}

interface Rank {
	weight: number;
	specificity: number;
	/** Place in the header. */
	at: number;
}

/** Whether a call that may be answered with JSON or with server-sent events asks for these. */
export const wantsEvents = (accept: string | undefined): boolean =>
	preferred(accept, ["application/json", "text/event-stream"]) ===
	"text/event-stream";

/**
 * The offer with the highest weight; among equals the one that is named more exactly, then the one that is named first, then
 * the one that is offered first. Where the header takes none of them, the first: it is no reason to answer nothing.
 * @param offers media types without parameters, in lower case, the default first
 */
export function preferred<const Offers extends readonly [string, ...string[]]>(
	accept: string | undefined,
	offers: Offers,
): Offers[number] {
	const ranges = rangesOf(accept ?? "");
	let best: { offer: string; rank: Rank } | null = null;
	for (const offer of offers) {
		const rank = rankOf(offer, ranges);
		if (rank && rank.weight > 0 && (!best || isBetter(rank, best.rank)))
			best = { offer, rank };
	}
	return best?.offer ?? offers[0];
}

/** What the header says of a type: its most specific range counts. */
function rankOf(offer: string, ranges: readonly Range[]): Rank | null {
	let rank: Rank | null = null;
	for (const [at, { type, parameters, weight }] of ranges.entries()) {
		const specificity = closeness(type, offer);
		if (specificity === null) continue;
		const exact = specificity + Math.min(parameters, 9) / 10;
		if (!rank || exact > rank.specificity)
			rank = { weight, specificity: exact, at };
	}
	return rank;
}

function closeness(range: string, offer: string): number | null {
	if (range === offer) return 2;
	if (range === `${offer.slice(0, offer.indexOf("/"))}/*`) return 1;
	return range === "*/*" ? 0 : null;
}

const isBetter = (a: Rank, b: Rank): boolean =>
	(a.weight - b.weight || a.specificity - b.specificity || b.at - a.at) > 0;

function rangesOf(accept: string): Range[] {
	return split(accept, ",").flatMap((text) => {
		const [type = "", ...parameters] = split(text, ";");
		if (!/^[^\s/]+\/[^\s/]+$/.test(type)) return [];
		const at = parameters.findIndex((each) => /^q\s*=/i.test(each));
		return {
			type: type.toLowerCase(),
			parameters: at < 0 ? parameters.length : at,
			weight: weightOf(parameters[at]),
		};
	});
}

/** 1 where there is none, or one that is none. */
function weightOf(parameter: string | undefined): number {
	const [, digits] =
		/^q\s*=\s*"?(0?\.\d+|0\.?|1(?:\.0*)?)"?$/i.exec(parameter ?? "") ?? [];
	return digits === undefined ? 1 : Number(digits);
}

/** The trimmed parts that are not empty; what is quoted holds together. */
const split = (text: string, separator: "," | ";"): string[] =>
	(
		text.match(
			separator === ","
				? /(?:"(?:\\.|[^"\\])*"?|[^,"])+/g
				: /(?:"(?:\\.|[^"\\])*"?|[^;"])+/g,
		) ?? []
	)
		.map((part) => part.trim())
		.filter(Boolean);
