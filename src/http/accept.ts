/**
 * Content negotiation: the media type that an `Accept` header prefers (RFC 9110, 12.5.1).
 *
 * Runs in the Worker, as all of http/ does.
 */

interface Range {
	type: string;
	/**
	 * How many parameters besides `q` it has. They make the range more specific, and are not
	 * compared.
	 */
	parameters: number;
	/** Its `q`; 0 means "not acceptable". */
	weight: number;
}

interface Rank {
	weight: number;
	specificity: number;
	/** The range's index in the header. */
	at: number;
}

/** Whether the caller prefers server-sent events to JSON. */
export const wantsEvents = (accept: string | undefined): boolean =>
	preferredType(accept, ["application/json", "text/event-stream"]) ===
	"text/event-stream";

/**
 * The offer with the highest weight. Among equals the more specific range wins, then the earlier
 * one in the header, then the earlier offer. If the header accepts none, the first offer is better
 * than a 406.
 * @param offers media types without parameters, in lower case, the default first
 */
export function preferredType<
	const Offers extends readonly [string, ...string[]],
>(accept: string | undefined, offers: Offers): Offers[number] {
	const ranges = rangesOf(accept ?? "");
	let best: { offer: string; rank: Rank } | null = null;
	for (const offer of offers) {
		const rank = rankOf(offer, ranges);
		if (rank && rank.weight > 0 && (!best || isBetter(rank, best.rank)))
			best = { offer, rank };
	}
	return best?.offer ?? offers[0];
}

/** Ranks an offer by the most specific range that matches it. */
function rankOf(offer: string, ranges: readonly Range[]): Rank | null {
	let rank: Rank | null = null;
	for (const [at, { type, parameters, weight }] of ranges.entries()) {
		const match = matchLevel(type, offer);
		if (match === null) continue;
		const specificity = match + Math.min(parameters, 9) / 10;
		if (!rank || specificity > rank.specificity)
			rank = { weight, specificity, at };
	}
	return rank;
}

/** 2 for the type itself, 1 for `type/*`, 0 for any type; null where the range does not match. */
function matchLevel(range: string, offer: string): number | null {
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

/** The value of a `q` parameter; 1 if it is missing or invalid. */
function weightOf(parameter: string | undefined): number {
	const [, digits] =
		/^q\s*=\s*"?(0?\.\d+|0\.?|1(?:\.0*)?)"?$/i.exec(parameter ?? "") ?? [];
	return digits === undefined ? 1 : Number(digits);
}

/** The trimmed parts that are not empty. Separators within quotation marks do not split. */
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
