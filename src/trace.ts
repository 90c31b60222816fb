/** W3C Trace Context: one `traceparent` names a trace from the caller over the edge to the worker, and in all their logs. */

const FORM =
	/^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED = "01";

/**
 * The `traceparent` of work done for a request: a span of its own in the caller's trace, or in a new trace where the
 * caller names none that is valid.
 */
export const traceOf = (header: string | undefined): string =>
	isValid(header) ? childOf(header) : `00-${hex(16)}-${hex(8)}-${SAMPLED}`;

/** The `traceparent` of a step of that work: the same trace, a new span. */
export function childOf(parent: string): string {
	const [, trace, , flags] = parent.split("-");
	// Sampled, random: what version 00 knows of flags.
	const known = Number.parseInt(flags as string, 16) & 3;
	return `00-${trace}-${hex(8)}-0${known}`;
}

/** What a log line names it by. */
export const traceId = (traceparent: string): string =>
	traceparent.split("-")[1] as string;

/** Later versions may say more at the end; version 00 may not, and ff is none. */
function isValid(header: string | undefined): header is string {
	const [, version, trace, span, , more] = FORM.exec(header ?? "") ?? [];
	if (!version || !trace || !span || version === "ff") return false;
	if (version === "00" && more !== undefined) return false;
	return !/^0+$/.test(trace) && !/^0+$/.test(span);
}

const hex = (bytes: number): string =>
	crypto.getRandomValues(new Uint8Array(bytes)).toHex();
