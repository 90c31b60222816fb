// @ts-check
/** What the test runners say about themselves, read from their machine-readable reports. */
import { existsSync, readFileSync } from "node:fs";

/** @typedef {{ passed: number, failed: number, skipped: number }} Count */

/**
 * @param {string} path of vitest's JSON report
 * @returns {Count | undefined} undefined: there is none
 */
export function readVitest(path) {
	if (!existsSync(path)) return undefined;
	const report = JSON.parse(readFileSync(path, "utf8"));
	// A file that failed to load has no tests to report, and must count all the same.
	const broken = report.testResults.filter(
		(/** @type {any} */ file) =>
			file.status === "failed" &&
			file.assertionResults.every(
				(/** @type {any} */ test) => test.status !== "failed",
			),
	);
	return {
		passed: report.numPassedTests,
		failed: report.numFailedTests + broken.length,
		skipped: report.numPendingTests + report.numTodoTests,
	};
}

/** @param {string} path pytest's JUnit XML @returns {Count | undefined} undefined: there is none */
export function readJunit(path) {
	if (!existsSync(path)) return undefined;
	const suites = [
		...readFileSync(path, "utf8").matchAll(/<testsuite\s([^>]*)>/g),
	];
	const count = { passed: 0, failed: 0, skipped: 0 };
	for (const [, attributes = ""] of suites) {
		const number = (/** @type {string} */ name) =>
			Number(new RegExp(`\\b${name}="(\\d+)"`).exec(attributes)?.[1] ?? 0);
		const failed = number("failures") + number("errors");
		count.failed += failed;
		count.skipped += number("skipped");
		count.passed += number("tests") - failed - number("skipped");
	}
	return count;
}
