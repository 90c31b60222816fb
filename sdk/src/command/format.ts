/** Formats numbers for people. */

/** Formats micro-USD: `$0.001`, `$12.50`. It shows at least two decimals, and never rounds. */
export function money(micro: number): string {
	const [whole, fraction = ""] = (Math.abs(micro) / 1e6).toFixed(6).split(".");
	const digits = fraction.replace(/0+$/, "").padEnd(2, "0");
	return `${micro < 0 ? "-" : ""}$${whole}.${digits}`;
}

/** Formats an exact amount in micro-USD, such as a price part's: `4.700000` is `$0.0000047`. */
export function exactMoney(amount: string): string {
	const digits = amount.replace(".", "").padStart(13, "0");
	const fraction = digits.slice(-12).replace(/0+$/, "").padEnd(2, "0");
	return `$${digits.slice(0, -12)}.${fraction}`;
}

/** Formats milliseconds: `840 ms`, `2.4 s`, `3 min 5 s`. */
export function duration(ms: number): string {
	if (ms < 1000) return `${Math.round(ms)} ms`;
	if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
	const seconds = Math.round(ms / 1000);
	return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Formats bytes: `512 B`, `38 KB`, `2.4 MB`. */
export function size(bytes: number): string {
	if (bytes < 1000) return `${bytes} B`;
	if (bytes < 1e6) return `${Math.round(bytes / 1e3)} KB`;
	return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Formats the time since a date: `12 s ago`, `3 h ago`, `5 d ago`. */
export function ago(time: string, now: number): string {
	const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
	const [unit, length] =
		seconds < 60
			? ["s", 1]
			: seconds < 3_600
				? ["min", 60]
				: seconds < 86_400
					? ["h", 3_600]
					: (["d", 86_400] as [string, number]);
	return `${Math.floor(seconds / (length as number))} ${unit} ago`;
}

export const plural = (count: number, noun: string): string =>
	`${count} ${noun}${count === 1 ? "" : "s"}`;
