/** The command in this process, against a test's server. */
import { run } from "../../src/command/run.ts";
import type { TestServer } from "../server.ts";

/** @param now what its clock says */
export async function minigpt4(
	server: TestServer,
	args: string[],
	now = Date.now(),
) {
	const seen = { out: "", err: "" };
	const io = {
		env: { MINIGPT4_API_KEY: "mg_live_test", MINIGPT4_BASE_URL: server.url },
		out: { write: (text: string) => (seen.out += text) },
		err: { write: (text: string) => (seen.err += text) },
		input: null,
		interrupt: new AbortController().signal,
		now: () => now,
	};
	const code = await run(args, io as never, "0");
	return { code, ...seen };
}
