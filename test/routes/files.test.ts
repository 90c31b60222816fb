import { describe, expect, it, vi } from "vitest";
import { newAccount, type TestAccount } from "../support/account.ts";
import { create, ended, JOB_REQUEST, type Wire } from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { fixture } from "../support/images.ts";
import { bucket, fakeWorker, words } from "../support/jobs.ts";

const JPEG = fixture("place.jpg").bytes;

const call = (
	account: TestAccount | null,
	path: string,
	init: { method?: string; body?: FormData | string } = {},
	headers: Record<string, string> = {},
): Promise<Response> =>
	edge.fetch(`http://edge.test/v1/files${path}`, {
		...init,
		headers: {
			...(account && { Authorization: `Bearer ${account.key}` }),
			...headers,
		},
	});

const form = (parts: Record<string, string | Blob>): FormData => {
	const made = new FormData();
	for (const [name, part] of Object.entries(parts)) made.set(name, part);
	return made;
};
const photo = (bytes: Uint8Array<ArrayBuffer> = JPEG, type = "") =>
	new File([bytes], "photo.jpg", { type });
const send = (account: TestAccount, parts: Record<string, string | Blob>) =>
	call(account, "", { method: "POST", body: form(parts) });
const refusal = async (response: Response) => {
	const { error } = await response.json<Wire>();
	return [response.status, error.code, error.param];
};

describe("a file", () => {
	it.each([
		"",
		"image/jpeg",
		"image/jpg",
		"image/png",
		"text/plain",
		"application/octet-stream",
	])(
		"sent as %j is an upload under OpenAI's names, whole way round",
		async (type) => {
			fakeWorker({ tokens: words(3) });
			const account = await newAccount(5_000);
			const sent = await send(account, {
				purpose: "vision",
				file: photo(JPEG, type),
			});
			expect(sent.status).toBe(200);
			const file = await sent.json<Wire>();
			expect(file).toEqual({
				id: expect.stringMatching(/^img_/),
				object: "file",
				bytes: JPEG.length,
				created_at: expect.any(Number),
				filename: `${file.id}.jpeg`,
				purpose: "vision",
				status: "processed",
			});
			expect(Math.abs(file.created_at - Date.now() / 1000)).toBeLessThan(60);
			expect(await (await call(account, `/${file.id}`)).json()).toEqual(file);

			const content = await call(account, `/${file.id}/content`);
			expect(content.headers.get("Content-Type")).toBe("image/jpeg");
			const kept = new Uint8Array(await content.arrayBuffer());
			expect(kept.slice(0, 2)).toEqual(JPEG.slice(0, 2));
			expect(new TextDecoder("latin1").decode(kept)).not.toContain("PLACE");

			const images = [{ upload: file.id }];
			const job: Wire = await (
				await create(account, { ...JOB_REQUEST, images })
			).json();
			expect(await ended(account, job.id)).toMatchObject({ images });

			const gone = await call(account, `/${file.id}`, { method: "DELETE" });
			expect(await gone.json()).toEqual({
				id: file.id,
				object: "file",
				deleted: true,
			});
			for (const path of [`/${file.id}`, `/${file.id}/content`])
				expect((await call(account, path)).status).toBe(404);
		},
	);

	it("is nobody else's", async () => {
		const [account, other] = [await newAccount(), await newAccount()];
		const sent = await send(account, { purpose: "vision", file: photo() });
		const { id } = await sent.json<Wire>();
		for (const [path, method] of [
			[`/${id}`, "GET"],
			[`/${id}/content`, "GET"],
			[`/${id}`, "DELETE"],
			["/file-abc", "GET"],
			["/file-abc", "DELETE"],
		] as const)
			expect((await call(other, path, { method })).status).toBe(404);
		expect((await call(account, `/${id}`)).status).toBe(200);
		expect(await refusal(await call(null, `/${id}`))).toEqual([
			401,
			"missing_key",
			null,
		]);
	});

	it("that is not one is refused by the name of the field, and nothing is stored", async () => {
		const account = await newAccount();
		for (const [parts, refused] of [
			[{ file: photo() }, [400, "invalid_request", "purpose"]],
			[
				{ file: photo(), purpose: "batch" },
				[400, "invalid_request", "purpose"],
			],
			[{ purpose: "vision" }, [400, "invalid_request", "file"]],
			[{ purpose: "vision", file: "text" }, [400, "invalid_request", "file"]],
			[
				{ purpose: "vision", file: photo(), "expires_after[seconds]": "9" },
				[400, "invalid_request", "expires_after[seconds]"],
			],
			[
				{ purpose: "vision", file: photo(new Uint8Array(99)) },
				[422, "image_type_unsupported", "file"],
			],
		] as [Record<string, string | Blob>, unknown[]][])
			expect(await refusal(await send(account, parts))).toEqual(refused);
		expect(
			[...bucket.keys()].filter((key) => key.includes(account.id)),
		).toEqual([]);
	});

	it("that is too large is refused before its end; a body that is no form, too", async () => {
		const account = await newAccount();
		const large = photo(new Uint8Array(5 * 1024 * 1024));
		expect(
			await refusal(await send(account, { purpose: "vision", file: large })),
		).toEqual([413, "body_too_large", null]);
		const post = (body: string, type: string) =>
			call(account, "", { method: "POST", body }, { "Content-Type": type });
		expect(await refusal(await post("{}", "application/json"))).toEqual([
			415,
			"unsupported_media_type",
			null,
		]);
		expect(
			await refusal(await post("nonsense", "multipart/form-data; boundary=x")),
		).toEqual([400, "invalid_request", "body"]);
	});
});

describe("the list of files", () => {
	const list = async (account: TestAccount, query = ""): Promise<Wire> =>
		(await call(account, query)).json();
	/** Oldest first. */
	const made = async (account: TestAccount, count: number) => {
		const files: Wire[] = [];
		while (files.length < count) {
			const before = Date.now();
			const sent = await send(account, { purpose: "vision", file: photo() });
			files.push(await sent.json());
			// Ids of one millisecond are in any order.
			await vi.waitUntil(() => Date.now() > before + 1);
		}
		return files;
	};
	const idsOf = ({ data }: Wire) => data.map(({ id }: Wire) => id);

	it("is OpenAI's: newest or oldest first, page after page", async () => {
		const account = await newAccount();
		const empty = { object: "list", data: [], has_more: false };
		expect(await list(account)).toEqual({
			...empty,
			first_id: null,
			last_id: null,
		});
		const files = await made(account, 5);
		const ids = files.map(({ id }) => id);
		expect(await list(account)).toEqual({
			object: "list",
			data: files.toReversed(),
			has_more: false,
			first_id: ids[4],
			last_id: ids[0],
		});
		for (const [order, wanted] of [
			["asc", ids],
			["desc", ids.toReversed()],
		] as const) {
			const seen: string[] = [];
			let more = true;
			while (more) {
				const after = seen.length > 0 ? `&after=${seen.at(-1)}` : "";
				const page = await list(account, `?order=${order}&limit=2${after}`);
				seen.push(...idsOf(page));
				expect([page.first_id, page.last_id]).toEqual([
					idsOf(page)[0],
					seen.at(-1),
				]);
				more = page.has_more;
			}
			expect(seen).toEqual(wanted);
		}
	});

	it("is of images, whichever of their purposes is asked for, and of no other one", async () => {
		const account = await newAccount();
		const [file] = await made(account, 1);
		for (const purpose of ["vision", "user_data"])
			expect(idsOf(await list(account, `?purpose=${purpose}`))).toEqual([
				file.id,
			]);
		expect(await list(account, "?purpose=batch&limit=1")).toMatchObject({
			data: [],
			first_id: null,
			has_more: false,
		});
	});

	it("takes the largest page that OpenAI's does, and refuses by the field's name", async () => {
		const account = await newAccount();
		expect((await list(account, "?limit=10000")).object).toBe("list");
		for (const [query, field] of [
			["?limit=0", "limit"],
			["?limit=10001", "limit"],
			["?order=newest", "order"],
			["?after=file-abc", "after"],
			["?page=2", "page"],
		] as const)
			expect(await refusal(await call(account, query))).toEqual([
				400,
				"invalid_request",
				field,
			]);
	});
});
