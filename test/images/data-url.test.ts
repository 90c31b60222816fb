import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ApiError } from "../../src/errors.ts";
import { readDataUrl } from "../../src/images/data-url.ts";
import { IMAGE_LIMITS } from "../../src/schema/image.ts";

const failure = (url: string) => {
	try {
		readDataUrl(url, "images[1].url");
	} catch (error) {
		if (error instanceof ApiError) return error.failure;
		throw error;
	}
	throw new Error("was read");
};

const BYTES = Uint8Array.from({ length: 256 }, (_, n) => (n * 7) % 256);
const BASE64 = BYTES.toBase64();
const percented = (bytes: Uint8Array) =>
	[...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");

describe("a data URL", () => {
	it("is decoded to its bytes", () => {
		fc.assert(
			fc.property(fc.uint8Array({ minLength: 1, maxLength: 500 }), (bytes) => {
				for (const data of [
					`base64,${bytes.toBase64()}`,
					`base64,${bytes.toBase64({ omitPadding: true })}`,
					`base64,${bytes.toBase64({ alphabet: "base64url" })}`,
					`base64,${encodeURIComponent(bytes.toBase64())}`,
					`charset=x,${percented(bytes)}`,
				])
					expect(readDataUrl(`data:image/png;${data}`, "f")).toEqual(bytes);
			}),
		);
	});

	it.each([
		"data:image/png;base64,",
		"DATA:Image/JPEG;BASE64,",
		"data:;base64,",
		"data:image/jpg;base64,",
		"data:application/octet-stream;base64,",
		"data:text/html;base64,",
		"data:image/png;charset=utf-8;base64,",
		"data:image/png;name=a%20photo.png;base64,",
		`data:image/png;name=${"long".repeat(300)};base64,`,
		"data:image/png; base64 ,",
		"data:image/png;\tbase64\n,",
		'data:image/png;name="a;b,c.png";base64,',
		'data:image/png;name="a \\", b.png";base64,',
		'data:image/png;name="a,b.png;base64,',
		"data:image/png;name=a,b.png;base64,",
		"data:image/png;base64;charset=x,",
		"data:;BASE64; name=x ,",
		" \n data:image/png;base64,\n",
	])("is read whatever it calls its bytes: %s", (head) => {
		expect(readDataUrl(head + BASE64, "f")).toEqual(BYTES);
	});

	it("may have line breaks, percent signs and a fragment, as in browsers", () => {
		const lines = BASE64.replaceAll(/.{60}/g, "$&\r\n");
		for (const data of [lines, BASE64.replaceAll("+", "%2B"), `${BASE64}#top`])
			expect(readDataUrl(`data:image/png;base64,${data}`, "f")).toEqual(BYTES);
		expect(readDataUrl("data:image/gif,GIF89a%01%ff%zz%4", "f")).toEqual(
			Uint8Array.from("GIF89a\x01\xff%zz%4", (char) => char.charCodeAt(0)),
		);
	});

	it("is repaired where the damage is unambiguous", () => {
		const spaced = BASE64.replaceAll("+", " ");
		expect(spaced).toContain(" ");
		const wrapped = BASE64.replaceAll(/.{60}/g, "$& ");
		const padded = BASE64.replace(/=*$/, "====");
		for (const data of [`${BASE64}?x=1`, padded, spaced, wrapped])
			expect(readDataUrl(`data:image/png;base64,${data}`, "f")).toEqual(BYTES);
		for (const [data, bytes] of [
			["AB =", "AB+="],
			["A  /", "A++/"],
		] as const)
			expect(readDataUrl(`data:;base64,${data}`, "f")).toEqual(
				Uint8Array.fromBase64(bytes),
			);
	});

	it("may be percent-encoded, even if the image holds the word base64", () => {
		const text = "GIF89a,;base64,AAAA";
		expect(readDataUrl(`data:image/gif,${text}`, "f")).toEqual(
			new TextEncoder().encode(text),
		);
	});

	it.each(["data:image/png;base64,", "data:image/png,", "data:;base64, =#x"])(
		"says that it holds no bytes: %s",
		(url) => {
			expect(failure(url)).toMatchObject({
				code: "url_refused",
				detail: expect.stringContaining("`images[1].url` holds no bytes."),
			});
		},
	);

	it("that cannot be read names its field", () => {
		for (const url of [
			"data:",
			"data:image/png;base64",
			"data:image/png;base64,!!!!",
			"data:image/png;base64,AQ=I",
			`data:${"x".repeat(5000)},`,
		])
			expect([url, failure(url)]).toMatchObject([
				url,
				{ code: "url_refused", field: "images[1].url" },
			]);
	});

	it("over the limit is refused, before it is decoded if its length shows that", () => {
		// This is not base64, so decoding it would give another error.
		const digits = "?".repeat(Math.ceil(IMAGE_LIMITS.inlineBytes / 3) * 4 + 1);
		expect(failure(`data:image/png;base64,${digits}`)).toEqual({
			code: "image_too_large",
			field: "images[1].url",
			limit: IMAGE_LIMITS.inlineBytes,
		});
		for (const data of [
			percented(new Uint8Array(IMAGE_LIMITS.inlineBytes + 1)),
			"x".repeat(IMAGE_LIMITS.inlineBytes + 1),
		])
			expect(failure(`data:,${data}`).code).toBe("image_too_large");
	});
});
