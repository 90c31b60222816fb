/**
 * W3C Trace Context. The `traceparent` header carries one trace id from the caller through the edge
 * to the GPU worker; each of them writes it to its log.
 */

const FORM =
	/^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED = "01";

/**
 * The `traceparent` of the work for a request: a new span in the caller's trace, or in a new trace
 * if the caller sends no valid one.
 * @param header the request's `traceparent`
 */
export const traceOf = (header: string | undefined): string =>
	isValid(header) ? childOf(header) : `00-${hex(16)}-${hex(8)}-${SAMPLED}`;

/** The `traceparent` of one step of that work: a new span in the same trace. */
export function childOf(parent: string): string {
	const [, trace, , flags] = parent.split("-");
	// Version 00 defines two flags: sampled and random.
	const definedFlags = Number.parseInt(flags as string, 16) & 3;
	return `00-${trace}-${hex(8)}-0${definedFlags}`;
}

/** The trace id, for log lines. */
export const traceId = (traceparent: string): string =>
	traceparent.split("-")[1] as string;

/** Version ff is invalid. Only versions after 00 may append fields. */
function isValid(header: string | undefined): header is string {
	const [, version, trace, span, , appended] = FORM.exec(header ?? "") ?? [];
	if (!version || !trace || !span || version === "ff") return false;
	if (version === "00" && appended !== undefined) return false;
	return !/^0+$/.test(trace) && !/^0+$/.test(span);
}

const hex = (bytes: number): string =>
	crypto.getRandomValues(new Uint8Array(bytes)).toHex();
