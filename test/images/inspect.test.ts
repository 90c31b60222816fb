import { crc32, deflateSync } from "node:zlib";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { unwrap } from "../../src/errors.ts";
import { orientationOf, tiffOf } from "../../src/images/exif.ts";
import { sniff } from "../../src/images/format.ts";
import { inspect } from "../../src/images/inspect.ts";
import { IMAGE_LIMITS } from "../../src/schema/image.ts";
import { FIXTURES, fixture, resized } from "../support/images.ts";

const LIMIT = IMAGE_LIMITS.bytes;
type Bytes = Uint8Array<ArrayBuffer>;
const look = (bytes: Bytes) => inspect(bytes, "body", LIMIT);
const code = async (bytes: Bytes) => {
	const result = await look(bytes);
	return result.ok ? "ok" : result.failure.code;
};
const latin1 = (bytes: Bytes) => new TextDecoder("latin1").decode(bytes);
const cat = (...parts: (Bytes | number[])[]): Bytes =>
	Uint8Array.from(parts.flatMap((part) => [...part]));
/** The bytes with one of them changed. */
const flip = (bytes: Bytes, at: number): Bytes => {
	const copy = bytes.slice();
	const place = at < 0 ? copy.length + at : at;
	copy[place] = (copy[place] as number) ^ 0xff;
	return copy;
};

describe.each(FIXTURES)("$name", ({ type, bytes, orientation }) => {
	it("is recognized by its bytes, with its size", async () => {
		expect(await look(bytes)).toMatchObject({
			ok: true,
			image: { contentType: type, width: 48, height: 32 },
		});
	});

	it("loses its location and keeps its orientation", async () => {
		const kept = latin1(unwrap(await look(bytes)).image.bytes);
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

	it("is not changed by a second inspection", async () => {
		const { image } = unwrap(await look(bytes));
		expect(unwrap(await look(image.bytes)).image.bytes).toEqual(image.bytes);
	});

	it("is refused if it is cut at any byte of its picture", async () => {
		const whole = unwrap(await look(bytes)).image.bytes;
		let shown = false;
		for (let length = 0; length < whole.length; length++) {
			const cut = await code(whole.slice(0, length));
			// An animated GIF's picture is its first frame; a PNG's ends where another chunk begins.
			const isOver =
				type === "image/gif" ||
				(type === "image/png" && length === whole.length - 4);
			shown ||= isOver && cut === "ok";
			const early = length < 12 && cut !== "image_truncated";
			const refusal = early ? "image_type_unsupported" : "image_truncated";
			expect([length, cut]).toEqual([length, shown ? "ok" : refusal]);
		}
	});
});

describe("what is kept", () => {
	it("has the same compressed pixels", async () => {
		const scans = (text: string) => {
			const start = text.indexOf("\xff\xda");
			return text.slice(start, text.indexOf("\xff\xd9", start) + 2);
		};
		for (const name of ["place.jpg", "place-progressive.jpg"]) {
			const { bytes } = fixture(name);
			const kept = latin1(unwrap(await look(bytes)).image.bytes);
			expect(scans(kept)).toBe(scans(latin1(bytes)));
		}
		const { bytes } = fixture("place.png");
		const idat = (text: string) =>
			text.slice(text.indexOf("IDAT") - 4, text.indexOf("IEND"));
		const kept = latin1(unwrap(await look(bytes)).image.bytes);
		expect(idat(latin1(bytes)).startsWith(idat(kept).slice(0, -4))).toBe(true);
	});

	it("is the file itself if nothing had to go", async () => {
		const { bytes } = fixture("plain.webp");
		expect(unwrap(await look(bytes)).image.bytes).toBe(bytes);
	});

	it("ends where the image ends", async () => {
		for (const { bytes, name } of FIXTURES) {
			const clean = unwrap(await look(bytes)).image.bytes;
			const trailed = cat(clean, [1, 2, 3, 0xff, 0xd9]);
			expect([name, unwrap(await look(trailed)).image.bytes]).toEqual([
				name,
				clean,
			]);
		}
	});

	it("has the animation", async () => {
		const kept = latin1(
			unwrap(await look(fixture("place.gif").bytes)).image.bytes,
		);
		expect(kept).toContain("NETSCAPE2.0");
		const controls = (text: string) => text.split("\x21\xf9\x04").length;
		expect(controls(kept)).toBe(controls(latin1(fixture("place.gif").bytes)));
	});
});

/** A PNG chunk with a valid CRC, unless the test gives another one. */
function chunk(type: string, body: number[] | Bytes, sum?: number): Bytes {
	const named = cat(
		[...type].map((char) => char.charCodeAt(0)),
		body,
	);
	const words = new DataView(new ArrayBuffer(8));
	words.setUint32(0, body.length);
	words.setUint32(4, sum ?? crc32(named));
	const [length, check] = [0, 4].map(
		(at) => new Uint8Array(words.buffer, at, 4),
	);
	return cat(length as Bytes, named, check as Bytes);
}
/** The file with other chunks before its pixels, or in place of them. */
const png = (before: Bytes, pixels?: Bytes): Bytes => {
	const bytes = unwrapped.get("place.png") as Bytes;
	const idat = latin1(bytes).indexOf("IDAT") - 4;
	return cat(
		bytes.slice(0, 33),
		before,
		pixels ?? bytes.slice(idat, -12),
		bytes.slice(-12),
	);
};
const unwrapped = new Map<string, Bytes>();
beforeAll(async () => {
	for (const { name, bytes } of FIXTURES)
		unwrapped.set(name, unwrap(await look(bytes)).image.bytes);
});

describe("a PNG's optional chunk", () => {
	const types = [
		"gAMA",
		"pHYs",
		"cHRM",
		"sRGB",
		"sBIT",
		"bKGD",
		"hIST",
		"tIME",
	];
	it.each([
		...types,
		"iCCP",
		"cICP",
		"acTL",
		"sPLT",
		"tEXt",
		"zTXt",
		"iTXt",
		"prVt",
	])(
		"%s is dropped, whatever is wrong with it, and the picture kept",
		async (type) => {
			const clean = unwrap(await look(png(cat()))).image.bytes;
			for (const damaged of [
				chunk(type, []),
				chunk(type, [0, 0, 1]),
				chunk(type, new Uint8Array(40)),
				chunk(type, new Uint8Array(8), 7),
			])
				expect(unwrap(await look(png(damaged))).image.bytes).toEqual(clean);
		},
	);

	it("eXIf with a wrong CRC is ignored", async () => {
		const kept = unwrap(await look(png(chunk("eXIf", tiffOf(6), 7)))).image;
		expect(latin1(kept.bytes)).not.toContain("eXIf");
		const right = unwrap(await look(png(chunk("eXIf", tiffOf(6))))).image;
		expect(latin1(right.bytes)).toContain("eXIf");
	});
});

describe("a PNG that no viewer can read is refused:", () => {
	const rows = (count: number) =>
		new Uint8Array(deflateSync(new Uint8Array((1 + 48 * 3) * count)));
	const filtered = new Uint8Array((1 + 48 * 3) * 32);
	filtered[5 * (1 + 48 * 3)] = 9;
	it.each([
		["a header with a wrong sum", () => flip(png(cat()), 30)],
		["pixels with a wrong sum", () => flip(png(cat()), -14)],
		["rows that are missing", () => png(cat(), chunk("IDAT", rows(31)))],
		[
			"a filter that there is not",
			() => png(cat(), chunk("IDAT", new Uint8Array(deflateSync(filtered)))),
		],
		[
			"broken compression",
			() =>
				png(
					cat(),
					chunk("IDAT", cat(rows(32).slice(0, 9), [255, 255, 255, 255])),
				),
		],
		["a critical chunk that nobody knows", () => png(chunk("ABCD", []))],
		[
			"an animation without a frame",
			() => png(chunk("acTL", [0, 0, 0, 1, 0, 0, 0, 0])),
		],
	])("%s", async (_, bytes) => {
		expect(await code(bytes())).toBe("image_undecodable");
	});

	it("and surplus compressed data or a wrong checksum at its end is accepted", async () => {
		const whole = rows(32);
		for (const pixels of [
			whole,
			cat(whole, [1, 2, 3]),
			flip(whole, -1),
			whole.slice(0, -4),
			rows(40),
		])
			expect(await code(png(cat(), chunk("IDAT", pixels)))).toBe("ok");
	});
});

describe("an APNG's frame", () => {
	const numbered = (number: number) =>
		chunk(
			"fcTL",
			cat([0, 0, 0, number, 0, 0, 0, 48, 0, 0, 0, 32], new Uint8Array(14)),
		);
	const control = chunk("acTL", [0, 0, 0, 2, 0, 0, 0, 0]);
	const idat = () => {
		const bytes = unwrapped.get("place.png") as Bytes;
		return bytes.slice(latin1(bytes).indexOf("IDAT") - 4, -12);
	};
	/** The still picture's pixels as a frame of an animation. */
	const data = (number: number) => {
		const still = idat();
		const length = new DataView(still.buffer).getUint32(0);
		return chunk("fdAT", cat([0, 0, 0, number], still.slice(8, 8 + length)));
	};

	it("may have no pixels if another frame with pixels follows", async () => {
		const frames = cat(numbered(0), numbered(1), data(2));
		expect(await code(png(control, cat(idat(), frames)))).toBe("ok");
	});

	it("before the pixels is refused out of order, as in browsers", async () => {
		const twice = cat(control, numbered(0), numbered(0));
		expect(await code(png(twice))).toBe("image_undecodable");
	});

	it("before the pixels is refused if cut or damaged, animated or not", async () => {
		for (const stray of [
			chunk("fcTL", [0, 0, 0]),
			chunk("fdAT", [1, 2, 3, 4], 7),
		])
			expect(await code(png(stray))).toBe("image_undecodable");
	});
});

describe("stray bytes between a JPEG's segments are dropped:", () => {
	it.each([
		["fill bytes", [0xff, 0xff, 0xff]],
		["zeros", [0, 0, 0]],
		["other bytes", [0x12, 0x34]],
		["a stuffed byte", [0xff, 0]],
		["restarts", [0xff, 0xd0, 0xff, 0xd7]],
		["a marker of no meaning", [0xff, 0x01]],
	])("%s", async (_, between) => {
		for (const name of ["place.jpg", "place-progressive.jpg"]) {
			const clean = unwrapped.get(name) as Bytes;
			// Before the second segment, and before the scan.
			const second =
				2 + 2 + new DataView(clean.buffer, clean.byteOffset).getUint16(4);
			const scan = latin1(clean).indexOf("\xff\xda");
			for (const at of [second, scan]) {
				const bytes = cat(clean.slice(0, at), between, clean.slice(at));
				expect(unwrap(await look(bytes)).image.bytes).toEqual(clean);
			}
		}
	});
});

describe("a JPEG that no viewer can read is refused:", () => {
	const changed = (marker: number, change: (segment: Bytes) => void) => {
		const bytes = (unwrapped.get("place.jpg") as Bytes).slice();
		const at = latin1(bytes).indexOf(String.fromCharCode(0xff, marker));
		change(bytes.subarray(at + 4));
		return bytes;
	};
	it.each([
		["12 bits a sample", 0xc0, (body: Bytes) => body.fill(12, 0, 1)],
		["two components", 0xc0, (body: Bytes) => body.fill(2, 5, 6)],
		["no sampling", 0xc0, (body: Bytes) => body.fill(0, 7, 8)],
		[
			"a quantization that is not there",
			0xc0,
			(body: Bytes) => body.fill(3, 8, 9),
		],
		["codes that are none", 0xc4, (body: Bytes) => body.fill(255, 1, 3)],
		["a scan of what is not there", 0xda, (body: Bytes) => body.fill(99, 1, 2)],
	] as const)("%s", async (_, marker, change) => {
		expect(await code(changed(marker, change))).toBe("image_undecodable");
	});
});

it("a JPEG with a second scan after one of all components is refused", async () => {
	const bytes = unwrapped.get("place.jpg") as Bytes;
	const scan = latin1(bytes).indexOf("\xff\xda");
	const head = bytes.slice(scan, scan + 14);
	const twice = cat(bytes.slice(0, scan), head, bytes.slice(scan));
	expect(await code(twice)).toBe("image_undecodable");
	const late = cat(bytes.slice(0, -2), head, bytes.slice(-2));
	expect(await code(late)).toBe("image_undecodable");
});

it("a WebP with an uncompressed alpha plane that lacks a pixel is refused", async () => {
	const bytes = unwrapped.get("plain.webp") as Bytes;
	const name = latin1(bytes).indexOf("VP8 ");
	const picture = bytes.slice(name);
	const riff = (type: string, body: Bytes | number[]) =>
		cat(
			[...type].map((char) => char.charCodeAt(0)),
			[body.length & 255, body.length >> 8, 0, 0],
			body,
			body.length % 2 ? [0] : [],
		);
	const webp = (alpha: number) => {
		const inner = cat(
			[0x57, 0x45, 0x42, 0x50],
			riff("VP8X", [0x10, 0, 0, 0, 47, 0, 0, 31, 0, 0]),
			riff("ALPH", new Uint8Array(alpha)),
			picture,
		);
		return riff("RIFF", inner);
	};
	expect(await code(webp(1 + 48 * 32))).toBe("ok");
	expect(await code(webp(48 * 32))).toBe("image_undecodable");
});

it("a JPEG with so many scans that decoding takes minutes is refused", async () => {
	const scanned = (scans: number) => {
		const bytes = resized(fixture("place-progressive.jpg"), 6000, 6000);
		const last = latin1(bytes).lastIndexOf("\xff\xda", bytes.length / 2);
		const end = latin1(bytes).indexOf("\xff\xd9", last);
		const scan = bytes.slice(last, end);
		const many = Array.from({ length: scans }, () => scan);
		return cat(bytes.slice(0, last), ...many, bytes.slice(end));
	};
	expect(await code(scanned(20))).toBe("ok");
	expect(await code(scanned(200))).toBe("image_undecodable");
});

describe("a GIF", () => {
	const parts = () => {
		const bytes = unwrapped.get("place.gif") as Bytes;
		const [screen = "", first = "", ...others] =
			latin1(bytes).split("\x21\xf9\x04");
		const at = screen.length + 3 + first.length;
		return { first: bytes.slice(0, at), later: bytes.slice(at), others };
	};

	it("may have several terminators after a frame's data", async () => {
		const { first, later } = parts();
		for (const zeros of [1, 2, 900]) {
			const bytes = cat(first, new Uint8Array(zeros), later);
			expect(unwrap(await look(bytes)).image.bytes).toEqual(cat(first, later));
		}
	});

	const CLEAR = [0x21, 0xf9, 4, 1, 5, 0, 3, 0];
	const OPAQUE = [0x21, 0xf9, 4, 0, 5, 0, 0, 0];
	const imageOf = (first: Bytes) => latin1(first).indexOf("\x2c\0\0\0\0\x30\0");

	it("keeps only the last control before a frame, which is the one that counts", async () => {
		const { first } = parts();
		const at = imageOf(first);
		const [screen, frame] = [first.slice(0, at), first.slice(at)];
		const comment = [0x21, 0xfe, 1, 0x61, 0];
		for (const between of [[], comment]) {
			const bytes = cat(screen, CLEAR, between, OPAQUE, frame);
			expect(unwrap(await look(bytes)).image.bytes).toEqual(
				cat(screen, OPAQUE, frame, [0x3b]),
			);
		}
	});

	it("keeps no unknown extension, on which a decoder could fail", async () => {
		const { first } = parts();
		const at = imageOf(first);
		for (const label of [0, 1, 0x77, 0xfe, 0xff]) {
			const odd = cat(first.slice(0, at), [0x21, label, 0], first.slice(at));
			expect(unwrap(await look(odd)).image.bytes).toEqual(cat(first, [0x3b]));
		}
	});

	it("whose control has more than one block is refused", async () => {
		const { first } = parts();
		const at = imageOf(first);
		const long = [...CLEAR.slice(0, -1), 1, 7, 0];
		const bytes = cat(first.slice(0, at), long, first.slice(at));
		expect(await code(bytes)).toBe("image_undecodable");
	});

	it("ends after its first frame if no block follows", async () => {
		const { first } = parts();
		for (const rest of [[], [0, 0], [0x42, 0x17], [0x21, 0xfe, 80, 1], [0x2c]])
			expect(unwrap(await look(cat(first, rest))).image.bytes).toEqual(
				cat(first, [0x3b]),
			);
	});

	it("whose first frame lacks pixels is refused", async () => {
		const { first } = parts();
		const image = latin1(first).indexOf("\x2c\0\0\0\0\x30\0");
		const data =
			image +
			10 +
			3 *
				2 ** (((first[image + 9] as number) & 7) + 1) *
				((first[image + 9] as number) >> 7);
		const [length] = first.slice(data + 1);
		const short = cat(first.slice(0, data + 2 + (length as number)), [0, 0x3b]);
		expect(await code(short)).toBe("image_undecodable");
	});
});

describe("sizes", () => {
	const canvases = FIXTURES.filter(({ name }) => name.startsWith("place"));
	it.each(canvases)("of $name are refused beyond the limits", async (image) => {
		const sized = (width: number, height: number) =>
			look(resized(image, width, height));
		expect(await sized(20_000, 20_000)).toMatchObject({
			failure: { code: "image_dimensions", width: 20_000, height: 20_000 },
		});
		// Both sides are within the limit, and the pixels are too many.
		const side = Math.floor(Math.sqrt(IMAGE_LIMITS.pixels));
		expect(await sized(side + 1, side + 1)).toMatchObject({
			failure: { code: "image_dimensions" },
		});
		// Sizes within the limits may still be refused, because the file lacks the pixels.
		expect(await sized(side, side)).not.toMatchObject({
			failure: { code: "image_dimensions" },
		});
		if (image.type !== "image/gif")
			expect(await sized(1, 1)).toMatchObject({
				failure: { code: "image_dimensions", width: 1, height: 1 },
			});
	});

	it("are refused as such even if the rest of the file is missing", async () => {
		const header = resized(fixture("place.png"), 20_000, 20_000).slice(0, 33);
		expect(await code(header)).toBe("image_dimensions");
	});

	it("of a GIF's frames count as its screen's does", async () => {
		const bytes = fixture("place.gif").bytes.slice();
		const frame = latin1(bytes).indexOf("\x2c\0\0\0\0\x30\0");
		expect(frame).toBeGreaterThan(0);
		new DataView(bytes.buffer).setUint16(frame + 5, 40_000, true);
		expect(await code(bytes)).toBe("image_dimensions");
	});

	it("may not occur twice", async () => {
		const { bytes } = fixture("place.jpg");
		const frame = latin1(bytes).indexOf("\xff\xc0\0\x11");
		const again = bytes.slice(frame, frame + 19);
		expect(
			await code(cat(bytes.slice(0, frame), again, bytes.slice(frame))),
		).toBe("image_undecodable");
	});
});

describe("bytes", () => {
	it("over the limit are refused unread", async () => {
		expect(await inspect(new Uint8Array(11), "body", 10)).toEqual({
			ok: false,
			failure: { code: "image_too_large", field: "body", limit: 10 },
		});
	});

	it("that are not an image are refused", async () => {
		const texts = ["", "hello", "<svg xmlns='http://www.w3.org/2000/svg'/>"];
		for (const text of [...texts, "BM6\0\0\0", "%PDF-1.7", "RIFF\0\0\0\0WAVE"])
			expect(await code(Uint8Array.from(text, (c) => c.charCodeAt(0)))).toBe(
				"image_type_unsupported",
			);
	});
});

describe("on any bytes", () => {
	const heads = [
		"\xff\xd8\xff",
		"\x89PNG\r\n\x1a\n",
		"GIF89a",
		"GIF87a",
		"RIFF\xff\0\0\0WEBP",
	].map((text) => Uint8Array.from(text, (c) => c.charCodeAt(0)));
	const blocks = fc.array(
		fc.oneof(
			fc.uint8Array({ maxLength: 40 }),
			fc.constantFrom(
				[0xff, 0xd9],
				[0xff, 0xda, 0, 2],
				[0xff, 0xe1, 0, 4],
				[0xff, 0xff],
				[0, 0, 0, 0, 0x49, 0x44, 0x41, 0x54],
				[0x21, 0xff, 11],
				[0x2c],
				[0x56, 0x50, 0x38, 0x58],
				[0xff, 0xff, 0xff, 0xff],
				[0x3b],
				[0, 0],
			),
		),
		{ maxLength: 20 },
	);

	it("inspection ends with a result", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.constantFrom(...heads),
				blocks,
				async (head, rest) => {
					const bytes = cat(head, ...(rest as Bytes[]));
					expect(sniff(bytes)).not.toBeNull();
					expect(typeof (await look(bytes)).ok).toBe("boolean");
				},
			),
			{ numRuns: 3_000 },
		);
	});

	it("a damaged file is refused, or its copy is clean", async () => {
		const { length } = FIXTURES;
		await fc.assert(
			fc.asyncProperty(
				fc.nat(length - 1),
				fc.array(fc.tuple(fc.nat(4_000), fc.nat(255)), { maxLength: 6 }),
				async (which, changes) => {
					const bytes = (FIXTURES[which] as (typeof FIXTURES)[0]).bytes.slice();
					for (const [at, value] of changes) bytes[at % bytes.length] = value;
					const first = await look(bytes);
					if (!first.ok) return;
					// The copy is an image, and inspecting it changes nothing.
					const second = unwrap(await look(first.image.bytes));
					expect(second.image.bytes).toEqual(first.image.bytes);
				},
			),
			{ numRuns: 3_000 },
		);
	});

	it("an EXIF structure gives an orientation", () => {
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

	it("the worst 20 MB of each format end as well", async () => {
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
			expect(["image_truncated", "image_undecodable"]).toContain(
				await code(bytes),
			);
		}
	});
});
