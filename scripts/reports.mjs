// @ts-check
/** What the test runners say about themselves, read from their machine-readable reports. */
import { existsSync, readFileSync } from "node:fs";

/**
 * @typedef {object} Count
 * @property {number} passed
 * @property {number} failed
 * @property {number} skipped
 * @property {string[]} [failures] what failed, each with the first line of why
 */

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
		failures: report.testResults.flatMap((/** @type {any} */ file) => [
			...(broken.includes(file) ? [failure(file.name, file.message)] : []),
			...file.assertionResults
				.filter((/** @type {any} */ test) => test.status === "failed")
				.map((/** @type {any} */ test) =>
					failure(
						`${file.name} > ${test.fullName}`,
						test.failureMessages.join("\n"),
					),
				),
		]),
	};
}

/** @param {string} name @param {string} why @returns {string} */
function failure(name, why) {
	const [first = ""] = why.trim().split("\n");
	return `${name}: ${first}`;
}

/** @param {string} path pytest's JUnit XML @returns {Count | undefined} undefined: there is none */
export function readJunit(path) {
	if (!existsSync(path)) return undefined;
	const text = readFileSync(path, "utf8");
	const suites = [...text.matchAll(/<testsuite\s([^>]*)>/g)];
	const count = {
		passed: 0,
		failed: 0,
		skipped: 0,
		failures: [
			...text.matchAll(
				/<testcase classname="([^"]*)" name="([^"]*)"[^>]*><(?:failure|error) message="([^"]*)"/g,
			),
		].map(([, file, name, why]) =>
			failure(`${file} > ${plain(name)}`, plain(why)),
		),
	};
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

const XML = {
	"&#10;": "\n",
	"&quot;": '"',
	"&lt;": "<",
	"&gt;": ">",
	"&amp;": "&",
};

/** @param {string | undefined} text an XML attribute's */
const plain = (text = "") =>
	text.replaceAll(
		/&(?:#10|quot|lt|gt|amp);/g,
		(entity) => XML[/** @type {keyof typeof XML} */ (entity)],
	);
