import { vi } from "vitest";

/**
 * What must become true, and nothing promises how soon: vitest's own second is less than a busy
 * machine's pause.
 */
export const eventually: typeof vi.waitFor = (check, options = {}) =>
	vi.waitFor(check, {
		timeout: 15_000,
		...(typeof options === "number" ? { timeout: options } : options),
	});
