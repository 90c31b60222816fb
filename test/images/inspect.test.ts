import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { unwrap } from "../../src/errors.ts";
import { orientationOf, tiffOf } from "../../src/images/exif.ts";
import { inspect } from "../../src/images/inspect.ts";
import { sniff } from "../../src/images/sniff.ts";
import { IMAGE_LIMITS, type ImageType } from "../../src/schema/image.ts";
import { FIXTURES, fixture, resized } from "../support/images.ts";

const LIMIT = IMAGE_LIMITS.bytes;
type Bytes = Uint8Array<ArrayBuffer>;
const look = (bytes: Bytes, declared: ImageType | null = null) =>
	inspect(bytes, declared, "body", LIMIT);
const code = (bytes: Bytes, declared: ImageType | null = null) => {
	const result = look(bytes, declared);
	return result.ok ? "ok" : result.failure.code;
};
const latin1 = (bytes: Bytes) => new TextDecoder("latin1").decode(bytes);
const cat = (...parts: (Bytes | number[])[]): Bytes =>
	Uint8Array.from(parts.flatMap((part) => [...part]));

describe.each(FIXTURES)("$name", ({ type, bytes, orientation }) => {
	it("is taken for what it is, with its size", () => {
		expect(look(bytes, type)).toMatchObject({
			ok: true,
			image: { contentType: type, width: 48, height: 32 },
		});
	});

	it("is refused under another type's name", () => {
		const other = type === "image/png" ? "image/jpeg" : "image/png";
		expect(code(bytes, other)).toBe("image_type_unsupported");
	});

	it("holds no place any more, and still its orientation", () => {
		const kept = latin1(unwrap(look(bytes)).image.bytes);
		for (const trace of ["PLACE", "GPS", "xmpmeta", "XMP", "8BIM", "MPF"])
			expect(kept).not.toContain(trace);
		const tiff = kept.indexOf("MM\0*");
		expect(
			tiff < 0
				? 1
				: orientationOf(
						Uint8Array.from(kept.slice(tiff), (c) => c.charCodeAt(0)),
					),
		).toBe(orientation);
	});

	it("comes out of a second look unchanged", () => {
		const { image } = unwrap(look(bytes));
		expect(unwrap(look(image.bytes)).image.bytes).toEqual(image.bytes);
	});

	it("is refused when cut at any byte before its end", () => {
		const whole = unwrap(look(bytes)).image.bytes;
		for (let length = 0; length < whole.length; length++) {
			const cut = code(whole.slice(0, length));
			expect([length, cut]).toEqual([
				length,
				length < 12 && cut !== "image_truncated"
					? "image_type_unsupported"
					: "image_truncated",
			]);
		}
	});
});

describe("what is kept", () => {
	it("leaves the compressed pixels alone", () => {
		const scans = (text: string) => {
			const start = text.indexOf("\xff\xda");
			return text.slice(start, text.indexOf("\xff\xd9", start) + 2);
		};
		for (const name of ["place.jpg", "place-progressive.jpg"]) {
			const { bytes } = fixture(name);
			const kept = latin1(unwrap(look(bytes)).image.bytes);
			expect(scans(kept)).toBe(scans(latin1(bytes)));
		}
		const { bytes } = fixture("place.png");
		const idat = (text: string) =>
			text.slice(text.indexOf("IDAT") - 4, text.indexOf("IEND"));
		const kept = latin1(unwrap(look(bytes)).image.bytes);
		expect(idat(latin1(bytes)).startsWith(idat(kept).slice(0, -4))).toBe(true);
	});

	it("is the very file where nothing had to go", () => {
		const { bytes } = fixture("plain.webp");
		expect(unwrap(look(bytes)).image.bytes).toBe(bytes);
	});

	it("ends where the image ends", () => {
		for (const { bytes, name } of FIXTURES) {
			const clean = unwrap(look(bytes)).image.bytes;
			const trailed = cat(clean, [1, 2, 3, 0xff, 0xd9]);
			expect([name, unwrap(look(trailed)).image.bytes]).toEqual([name, clean]);
		}
	});

	it("keeps animation", () => {
		const kept = latin1(unwrap(look(fixture("place.gif").bytes)).image.bytes);
		expect(kept).toContain("NETSCAPE2.0");
		const controls = (text: string) => text.split("\x21\xf9\x04").length;
		expect(controls(kept)).toBe(controls(latin1(fixture("place.gif").bytes)));
	});
});

describe("sizes", () => {
	const canvases = FIXTURES.filter(({ name }) => name.startsWith("place"));
	it.each(canvases)("of $name are refused beyond the limits", (image) => {
		const sized = (width: number, height: number) =>
			look(resized(image, width, height));
		expect(sized(20_000, 20_000)).toMatchObject({
			failure: { code: "image_dimensions", width: 20_000, height: 20_000 },
		});
		// Each side within its bound, and too many pixels.
		const side = Math.floor(Math.sqrt(IMAGE_LIMITS.pixels));
		expect(sized(side + 1, side + 1)).toMatchObject({
			failure: { code: "image_dimensions" },
		});
		expect(sized(side, side)).toMatchObject({ ok: true });
		if (image.type !== "image/gif")
			expect(sized(1, 1)).toMatchObject({
				failure: { code: "image_dimensions", width: 1, height: 1 },
			});
	});

	it("are refused for what they are where the rest of the file is missing", () => {
		const header = resized(fixture("place.png"), 20_000, 20_000).slice(0, 33);
		expect(code(header)).toBe("image_dimensions");
	});

	it("of a GIF's frames count like its screen's", () => {
		const bytes = fixture("place.gif").bytes.slice();
		const frame = latin1(bytes).indexOf("\x2c\0\0\0\0\x30\0");
		expect(frame).toBeGreaterThan(0);
		new DataView(bytes.buffer).setUint16(frame + 5, 40_000, true);
		expect(code(bytes)).toBe("image_dimensions");
	});

	it("may not be told twice", () => {
		const { bytes } = fixture("place.jpg");
		const frame = latin1(bytes).indexOf("\xff\xc0\0\x11");
		const again = bytes.slice(frame, frame + 19);
		expect(code(cat(bytes.slice(0, frame), again, bytes.slice(frame)))).toBe(
			"image_undecodable",
		);
	});
});

describe("bytes", () => {
	it("over the limit are refused unseen", () => {
		expect(inspect(new Uint8Array(11), null, "body", 10)).toEqual({
			ok: false,
			failure: { code: "image_too_large", field: "body", limit: 10 },
		});
	});

	it("that are no image are refused", () => {
		const texts = ["", "hello", "<svg xmlns='http://www.w3.org/2000/svg'/>"];
		for (const text of [...texts, "BM6\0\0\0", "%PDF-1.7", "RIFF\0\0\0\0WAVE"])
			expect(code(Uint8Array.from(text, (c) => c.charCodeAt(0)))).toBe(
				"image_type_unsupported",
			);
	});
});

describe("on any bytes", () => {
	const heads = [
		...["\xff\xd8\xff", "\x89PNG\r\n\x1a\n", "GIF89a", "GIF87a"],
		"RIFF\xff\0\0\0WEBP",
	].map((text) => Uint8Array.from(text, (c) => c.charCodeAt(0)));
	const blocks = fc.array(
		fc.oneof(
			fc.uint8Array({ maxLength: 40 }),
			fc.constantFrom(
				...[
					[0xff, 0xd9],
					[0xff, 0xda, 0, 2],
					[0xff, 0xe1, 0, 4],
					[0xff, 0xff],
				],
				...[[0, 0, 0, 0, 0x49, 0x44, 0x41, 0x54], [0x21, 0xff, 11], [0x2c]],
				...[[0x56, 0x50, 0x38, 0x58], [0xff, 0xff, 0xff, 0xff], [0x3b], [0, 0]],
			),
		),
		{ maxLength: 20 },
	);

	it("inspection ends with an answer", () => {
		fc.assert(
			fc.property(fc.constantFrom(...heads), blocks, (head, rest) => {
				const bytes = cat(head, ...(rest as Bytes[]));
				expect(sniff(bytes)).not.toBeNull();
				expect(typeof look(bytes).ok).toBe("boolean");
			}),
			{ numRuns: 3_000 },
		);
	});

	it("a damaged file is refused or still clean", () => {
		const { length } = FIXTURES;
		fc.assert(
			fc.property(
				fc.nat(length - 1),
				fc.array(fc.tuple(fc.nat(4_000), fc.nat(255)), { maxLength: 6 }),
				(which, changes) => {
					const bytes = (FIXTURES[which] as (typeof FIXTURES)[0]).bytes.slice();
					for (const [at, value] of changes) bytes[at % bytes.length] = value;
					const first = look(bytes);
					if (!first.ok) return;
					// What was kept is an image again, and keeping it again changes nothing.
					const second = unwrap(look(first.image.bytes));
					expect(second.image.bytes).toEqual(first.image.bytes);
				},
			),
			{ numRuns: 3_000 },
		);
	});

	it("an EXIF structure reads as an orientation", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
				for (const order of ["II*\0", "MM\0*", ""]) {
					const head = [...order].map((c) => c.charCodeAt(0));
					const tiff = cat(head, bytes as Bytes);
					const value = orientationOf(tiff);
					expect(value >= 1 && value <= 8).toBe(true);
				}
			}),
			{ numRuns: 2_000 },
		);
		for (let value = 1; value <= 8; value++)
			expect(orientationOf(tiffOf(value))).toBe(value);
	});

	it("the worst 20 MB of each format end too", () => {
		const jpeg = fixture("place.jpg").bytes;
		const scan = latin1(jpeg).indexOf("\xff\xda");
		const worst: [head: number[], pattern: number[]][] = [
			[[0xff, 0xd8, 0xff], [0xff]],
			[
				[0xff, 0xd8, 0xff, 0xd0],
				[0xff, 0xfe, 0, 2],
			],
			[
				[0xff, 0xd8, 0xff, 0xd0],
				[0xff, 0xd0],
			],
			[[...jpeg.slice(0, scan + 14)], [0xff, 0]],
			[
				[...fixture("place.png").bytes.slice(0, 33)],
				[0, 0, 0, 0, 97, 97, 97, 97, 0, 0, 0, 0],
			],
			[
				[...fixture("place.gif").bytes.slice(0, 10), 0, 0, 0],
				[0x21, 1, 0],
			],
			[
				[...fixture("place.gif").bytes.slice(0, 10), 0, 0, 0, 0x21, 1],
				[1, 1],
			],
			[
				[...fixture("place.webp").bytes.slice(0, 30)],
				[97, 97, 97, 97, 0, 0, 0, 0],
			],
		];
		for (const [head, pattern] of worst) {
			const bytes = new Uint8Array(IMAGE_LIMITS.bytes);
			for (let n = 0; n < bytes.length; n++)
				bytes[n] = pattern[(n - head.length + 12) % pattern.length] as number;
			bytes.set(head);
			if (sniff(bytes) === "image/webp")
				new DataView(bytes.buffer).setUint32(4, bytes.length - 8, true);
			expect(["image_truncated", "image_undecodable"]).toContain(code(bytes));
		}
	});
});
