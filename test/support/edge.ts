import { exports } from "cloudflare:workers";

/** The Worker under test, entered the way a request enters it. */
export const edge = (exports as unknown as { default: Fetcher }).default;
