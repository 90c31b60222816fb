/** Which argument is an image, which one is the question, and what standard input brings. */
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { splitArguments } from "../../src/command/ask.ts";
import { UsageError } from "../../src/command/exit.ts";

const PHOTO = fileURLToPath(import.meta.url); // a file that exists
const UPLOAD = "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T";
const URL = "https://example.com/photo.jpg";
const Q = "What is this?";

const split = (args: string[], { piped = false, previous = "" } = {}) =>
	splitArguments(
		{
			input: piped ? (async function* () {})() : null,
			values: previous ? { previous } : {},
		},
		args,
	);

it.each([
	["image, question", [PHOTO, Q], {}, [PHOTO], Q],
	["images, question", [PHOTO, URL, UPLOAD, Q], {}, [PHOTO, URL, UPLOAD], Q],
	["a piped image by name", ["-", Q], { piped: true }, ["-"], Q],
	["a piped image", [Q], { piped: true }, ["-"], Q],
	["a piped question by name", [PHOTO, "-"], { piped: true }, [PHOTO], "-"],
	["a piped question", [PHOTO], { piped: true }, [PHOTO], "-"],
	[
		"a piped question about an upload",
		[UPLOAD],
		{ piped: true },
		[UPLOAD],
		"-",
	],
	["a piped question about an address", [URL], { piped: true }, [URL], "-"],
	[
		"an address in a question",
		[`Is ${URL} this?`],
		{ piped: true },
		["-"],
		`Is ${URL} this?`,
	],
	["a previous job", [Q], { previous: "J" }, [], Q],
	[
		"a previous job, with a pipe that no argument names",
		[Q],
		{ previous: "J", piped: true },
		[],
		Q,
	],
	[
		"a previous job and a piped question",
		["-"],
		{ previous: "J", piped: true },
		[],
		"-",
	],
	[
		"a previous job and another image",
		[PHOTO, Q],
		{ previous: "J" },
		[PHOTO],
		Q,
	],
] as const)("%s", async (_, args, given, images, question) => {
	expect(await split([...args], given)).toEqual({ images, question });
});

it.each([
	["nothing", [], {}, "Ask what?"],
	["an image alone", [PHOTO], {}, "Ask what about"],
	["a question alone", [Q], {}, "About which image?"],
	["a missing file", ["phto.jpg"], {}, "no file phto.jpg"],
	["images alone", [PHOTO, URL], {}, "the question comes last"],
	[
		"two arguments from one pipe",
		["-", "-"],
		{ piped: true },
		"more than once",
	],
] as const)("refuses %s, and says what to do", async (_, args, given, says) => {
	const refused = split([...args], given);
	await expect(refused).rejects.toThrow(UsageError);
	await expect(refused).rejects.toThrow(says);
});
