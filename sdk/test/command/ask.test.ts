/** Which word is the image and which the question, and what is piped in. */
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { sort } from "../../src/command/ask.ts";
import { UsageError } from "../../src/command/exit.ts";

const PHOTO = fileURLToPath(import.meta.url); // a file that is there
const UPLOAD = "img_01JD8Z6Q3V9Y4K2M7N5P8R1S3T";
const URL = "https://example.com/photo.jpg";
const Q = "What is this?";

const sorted = (words: string[], { piped = false, previous = "" } = {}) =>
	sort(
		{
			input: piped ? (async function* () {})() : null,
			values: previous ? { previous } : {},
		},
		words,
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
	["going on", [Q], { previous: "J" }, [], Q],
	[
		"going on, with a pipe that nobody named",
		[Q],
		{ previous: "J", piped: true },
		[],
		Q,
	],
	[
		"going on with a piped question",
		["-"],
		{ previous: "J", piped: true },
		[],
		"-",
	],
	["going on with another image", [PHOTO, Q], { previous: "J" }, [PHOTO], Q],
] as const)("%s", async (_, words, around, images, question) => {
	expect(await sorted([...words], around)).toEqual({ images, question });
});

it.each([
	["nothing", [], {}, "Ask what?"],
	["an image alone", [PHOTO], {}, "Ask what about"],
	["a question alone", [Q], {}, "About which image?"],
	["a file that is not there", ["phto.jpg"], {}, "no file phto.jpg"],
	["images alone", [PHOTO, URL], {}, "the question comes last"],
	["two things from one pipe", ["-", "-"], { piped: true }, "more than once"],
] as const)(
	"refuses %s, and says how it goes",
	async (_, words, around, says) => {
		const refused = sorted([...words], around);
		await expect(refused).rejects.toThrow(UsageError);
		await expect(refused).rejects.toThrow(says);
	},
);
