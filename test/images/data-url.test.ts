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

describe("a data URL", () => {
	it("gives back its bytes", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
				const url = `data:image/png;base64,${bytes.toBase64()}`;
				expect(readDataUrl(url, "f")).toEqual({
					contentType: "image/png",
					bytes,
				});
			}),
		);
		expect(readDataUrl("DATA:Image/JPEG;BASE64,AQI=", "f").contentType).toBe(
			"image/jpeg",
		);
	});

	it("names its field when it cannot be read", () => {
		for (const url of [
			...[
				"data:",
				"data:image/png,AQI=",
				"data:image/png;base64",
				"data:;charset=x,",
			],
			...["data:image/png;base64,!!!!", "data:image/png;base64,AQ=I"],
			...[
				"data:image/png;base64,AQI%3D",
				"data:image/png;charset=utf-8;base64,AQI=",
			],
		])
			expect([url, failure(url)]).toMatchObject([
				url,
				{ code: "url_refused", field: "images[1].url" },
			]);
	});

	it("of another type is unsupported", () => {
		for (const type of ["", "text/html", "image/svg+xml", "image/avif"])
			expect(failure(`data:${type};base64,AQI=`)).toEqual({
				code: "image_type_unsupported",
				field: "images[1].url",
			});
	});

	it("over the limit is refused before it is decoded", () => {
		// No base64 at all: decoding would say so.
		const digits = "?".repeat(Math.ceil(IMAGE_LIMITS.inlineBytes / 3) * 4 + 1);
		expect(failure(`data:image/png;base64,${digits}`)).toEqual({
			code: "image_too_large",
			field: "images[1].url",
			limit: IMAGE_LIMITS.inlineBytes,
		});
	});
});
