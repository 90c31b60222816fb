/** One JSON line per event for operators: never content, never secrets. */
export function log(
	event: string,
	fields: Record<string, string | number | boolean | null> = {},
): void {
	console.log(
		JSON.stringify({ time: new Date().toISOString(), event, ...fields }),
	);
}
