/** One JSON line per event for operators: never content, never secrets. */
export function log(
	event: string,
	fields: Record<string, string | number | boolean | null> = {},
): void {
	const told = Object.fromEntries(
		Object.entries(fields).map(([name, value]) => [
			name,
			typeof value === "string" ? redacted(value) : value,
		]),
	);
	console.log(
		JSON.stringify({ time: new Date().toISOString(), event, ...told }),
	);
}

const LONGEST = 2_000;

/** What an error's words may hold of somebody else's: credentials, addresses with all they carry, and whatever is quoted. */
const PRIVATE: readonly [RegExp, string][] = [
	[/\b(?:mg_live_|whsec_|r8_)[\w+/=-]+/g, "…"],
	[/\bBearer\s+\S+/gi, "Bearer …"],
	[/\bdata:[\w/+.-]*[;,]\S*/gi, "data:…"],
	[/(\bhttps?:\/\/)[^\s/?#@]*@/gi, "$1…@"],
	[/(\bhttps?:\/\/[^\s/?#"'`)]+)[/?#][^\s"'`)]+/gi, "$1/…"],
	// From the first quotation mark to the last: what is quoted may hold some itself.
	[/["'`][\s\S]*["'`]/, "…"],
];

function redacted(text: string): string {
	let told = text;
	for (const [found, instead] of PRIVATE) told = told.replace(found, instead);
	return told.length > LONGEST ? `${told.slice(0, LONGEST)}…` : told;
}
