/** Writes one JSON line per event for operators. It never holds content or secrets. */
export function logLine(
	event: string,
	fields: Record<string, string | number | boolean | null> = {},
): void {
	const redactedFields = Object.fromEntries(
		Object.entries(fields).map(([name, value]) => [
			name,
			typeof value === "string" ? redact(value) : value,
		]),
	);
	const time = new Date().toISOString();
	console.log(JSON.stringify({ time, event, ...redactedFields }));
}

const MAX_LENGTH = 2_000;

/**
 * Private parts of an error message, with what replaces them: credentials, the paths of URLs,
 * quoted text.
 */
const REDACTIONS: readonly [pattern: RegExp, replacement: string][] = [
	[/\b(?:mg_live_|whsec_|r8_)[\w+/=-]+/g, "…"],
	[/\bBearer\s+\S+/gi, "Bearer …"],
	[/\bdata:[\w/+.-]*[;,]\S*/gi, "data:…"],
	[/(\bhttps?:\/\/)[^\s/?#@]*@/gi, "$1…@"],
	[/(\bhttps?:\/\/[^\s/?#"'`)]+)[/?#][^\s"'`)]+/gi, "$1/…"],
	// From the first quotation mark to the last, because quoted text may hold quotation marks.
	[/["'`][\s\S]*["'`]/, "…"],
];

function redact(text: string): string {
	let redacted = text;
	for (const [pattern, replacement] of REDACTIONS)
		redacted = redacted.replace(pattern, replacement);
	return redacted.length > MAX_LENGTH
		? `${redacted.slice(0, MAX_LENGTH)}…`
		: redacted;
}
