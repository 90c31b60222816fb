import { describe, expect, it } from "vitest";
import { config, type Env } from "../src/env.ts";
import { bindings } from "./support/account.ts";

const withValues = (values: Record<string, string | undefined>) =>
	({ ...bindings, ...values }) as unknown as Env;

describe("the configuration", () => {
	it("reaches nothing private by default", () => {
		expect(config(bindings).EGRESS_ALLOW).toEqual([]);
	});

	it("lets no exception from public addresses into production", () => {
		const allow = { EGRESS_ALLOW: "127.0.0.1:9000" };
		const development = withValues({ ...allow, ENVIRONMENT: "development" });
		expect(config(development).EGRESS_ALLOW).toEqual(["127.0.0.1:9000"]);
		for (const ENVIRONMENT of ["production", undefined])
			expect(() => config(withValues({ ...allow, ENVIRONMENT }))).toThrow(
				/EGRESS_ALLOW: is for development only/,
			);
	});

	it.each([
		["KEY_SECRETS", "tooshort"],
		["ADMIN_SECRET", "tooshort"],
		["WORKER_URL", "not-a-url"],
		["S3_ENDPOINT", undefined],
		["JOB_PRICE", "free"],
	])("names a wrong %s and keeps its value to itself", (name, value) => {
		const read = () => config(withValues({ [name]: value }));
		expect(read).toThrow(name);
		if (value) expect(read).not.toThrow(value);
	});
});
