import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Egress, fetchGuarded } from "../../src/egress/fetcher.ts";
import { dnsOverHttps } from "../../src/egress/resolver.ts";
import { ApiError, type Failure, wire } from "../../src/errors.ts";

/** The internet of this test: the response of each URL, and the URLs that were requested. */
const internet = new Map<string, () => Response | Promise<Response>>();
let asked: string[] = [];
const NAMES: Record<string, string[]> = {
	"photos.example.org": ["93.184.216.34", "2606:2800:220:1::1"],
	"other.example.org": ["93.184.216.35"],
	"inside.example.org": ["10.0.0.7"],
	"mixed.example.org": ["93.184.216.34", "169.254.169.254"],
	"mixed6.example.org": ["93.184.216.34", "::1"],
	"odd.example.org": ["not an address"],
	"gone.example.org": [],
};
const egress = (part: Partial<Egress> = {}): Egress => ({
	resolve: async (name) => {
		if (name === "broken.example.org") throw new Error("SERVFAIL");
		return NAMES[name] ?? [];
	},
	allow: [],
	...part,
});
const PHOTO = "https://photos.example.org/cat.jpg";

beforeEach(() => {
	internet.clear();
	asked = [];
	vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
		const request = new Request(input as RequestInfo, init as RequestInit);
		asked.push(request.url);
		const answer = internet.get(request.url);
		if (!answer) throw new TypeError("connection refused");
		return answer();
	});
});
afterEach(() => vi.restoreAllMocks());

async function failure(url: string, part: Partial<Egress> = {}, limit = 100) {
	try {
		await fetchGuarded(url, limit, "images[0].url", egress(part));
	} catch (error) {
		if (error instanceof ApiError) return error.failure;
		throw error;
	}
	throw new Error(`${url} was fetched`);
}
const redirect =
	(to: string, status = 302) =>
	() =>
		new Response(null, { status, headers: { Location: to } });
const named = (found: Failure) => {
	expect("field" in found && found.field).toBe("images[0].url");
	expect(wire(found).detail).toContain("images[0].url");
	return found.code;
};

const REFUSED = [
	// Another scheme, no URL, another port, credentials.
	"http://photos.example.org/",
	"ftp://photos.example.org/",
	"file:///etc/passwd",
	"gopher://photos.example.org/",
	"javascript:alert(1)",
	"blob:https://a.b/c",
	"//photos.example.org/",
	"photos.example.org/cat.jpg",
	"",
	"https://",
	"https:///",
	"https://photos.example.org:8443/",
	"https://photos.example.org:80/",
	"https://user@photos.example.org/",
	"https://user:pass@photos.example.org/",
	"https://:pass@photos.example.org/",
	"https://photos.example.org@127.0.0.1/",
	// Loopback and private, in every notation.
	"https://127.0.0.1/",
	"https://127.1/",
	"https://127.0.1/",
	"https://0/",
	"https://2130706433/",
	"https://0x7f000001/",
	"https://0x7f.1/",
	"https://0177.0.0.1/",
	"https://017700000001/",
	"https://0x7F.0x0.0x0.0x1/",
	"https://127.0.0.1./",
	"https://１２７.0.0.1/",
	"https://127。0。0。1/",
	"https://127%2e0%2e0%2e1/",
	"https://10.1.2.3/",
	"https://0xa.1.2.3/",
	"https://192.168.1.1/",
	"https://3232235777/",
	"https://172.16.5.4/",
	"https://169.254.169.254/latest/meta-data/",
	"https://0xa9fea9fe/",
	"https://100.64.0.1/",
	"https://0.0.0.0/",
	"https://255.255.255.255/",
	"https://[::1]/",
	"https://[::]/",
	"https://[0:0:0:0:0:0:0:1]/",
	"https://[::ffff:127.0.0.1]/",
	"https://[::ffff:7f00:1]/",
	"https://[::ffff:a9fe:a9fe]/",
	"https://[::127.0.0.1]/",
	"https://[64:ff9b::7f00:1]/",
	"https://[64:ff9b::10.0.0.1]/",
	"https://[2002:7f00:1::1]/",
	"https://[2001:0:7f00:1::]/",
	"https://[fe80::1]/",
	"https://[fe80::1%25eth0]/",
	"https://[fe80::1%eth0]/",
	"https://[fc00::1]/",
	"https://[fd00::1]/",
	"https://[ff02::1]/",
	// Names of this machine and of its network.
	"https://localhost/",
	"https://LOCALHOST/",
	"https://localhost./",
	"https://a.localhost/",
	"https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
	"https://metadata.google.internal/",
	"https://intranet/",
	"https://printer.local/",
	"https://printer.local./",
	// Names that resolve to a private address.
	"https://inside.example.org/",
	"https://inside.example.org./",
	"https://mixed.example.org/",
	"https://mixed6.example.org/",
	"https://odd.example.org/",
	"https://INSIDE.example.org/",
];

describe("a hostile URL", () => {
	it.each(REFUSED)("%s is refused, and nothing connects", async (url) => {
		expect(named(await failure(url))).toBe("url_refused");
		expect(asked).toEqual([]);
	});

	it.each(REFUSED.filter((url) => URL.canParse(url) && /^[ -~]+$/.test(url)))(
		"%s is refused as a redirect's target too",
		async (url) => {
			internet.set(PHOTO, redirect(url));
			expect(named(await failure(PHOTO))).toBe("url_refused");
			expect(asked).toEqual([PHOTO]);
		},
	);
});

describe("a URL", () => {
	const bytes = Uint8Array.of(1, 2, 3);
	const get = (url: string, part: Partial<Egress> = {}, limit = 100) =>
		fetchGuarded(url, limit, "images[0].url", egress(part));

	it("whose host has public addresses only is fetched", async () => {
		internet.set(PHOTO, () => new Response(bytes));
		expect(await get(PHOTO)).toEqual(bytes);
		expect(await get("https://photos.example.org:443/cat.jpg")).toEqual(bytes);
	});

	it("may be a public literal", async () => {
		internet.set("https://1.1.1.1/x", () => new Response(bytes));
		internet.set("https://[2606:4700::1]/x", () => new Response(bytes));
		expect(await get("https://1.1.1.1/x")).toEqual(bytes);
		expect(await get("https://[2606:4700::1]/x")).toEqual(bytes);
	});

	it("is followed through three redirects, and not through a fourth", async () => {
		const hop = (n: number) => `https://other.example.org/${n}`;
		internet.set(PHOTO, redirect(hop(1), 301));
		internet.set(hop(1), redirect("/2", 307));
		internet.set(hop(2), redirect("//other.example.org/3", 308));
		internet.set(hop(3), () => new Response(bytes));
		expect(await get(PHOTO)).toEqual(bytes);
		internet.set(hop(3), redirect(hop(4), 303));
		internet.set(hop(4), () => new Response(bytes));
		expect((await failure(PHOTO)).code).toBe("url_refused");
		expect(asked).not.toContain(hop(4));
	});

	it("that redirects to an invalid URL is refused", async () => {
		internet.set(PHOTO, redirect("https://[broken/"));
		expect(named(await failure(PHOTO))).toBe("url_refused");
	});

	it("is read up to the limit, whatever Content-Length says", async () => {
		internet.set(PHOTO, () => new Response(new Uint8Array(101)));
		expect(await failure(PHOTO)).toMatchObject({
			code: "image_too_large",
			field: "images[0].url",
			limit: 100,
		});
		let sent = 0;
		const endless = () =>
			new ReadableStream({
				pull(controller) {
					sent += 10;
					controller.enqueue(new Uint8Array(10));
				},
			});
		internet.set(PHOTO, () => new Response(endless()));
		expect((await failure(PHOTO)).code).toBe("image_too_large");
		expect(sent).toBeLessThan(300);
		internet.set(PHOTO, () => new Response(new Uint8Array(100)));
		expect(await get(PHOTO)).toHaveLength(100);
	});

	it("that delivers no image is unreachable, and the error says why", async () => {
		const words = async (url: string, part: Partial<Egress> = {}) => {
			const found = await failure(url, part);
			expect(named(found)).toBe("url_unreachable");
			return wire(found).detail;
		};
		expect(await words("https://gone.example.org/")).toContain(
			"does not exist",
		);
		expect(await words("https://broken.example.org/")).toContain("looked up");
		expect(await words("https://other.example.org/")).toContain("connection");
		internet.set(PHOTO, () => new Response("no", { status: 404 }));
		expect(await words(PHOTO)).toContain("404");
		internet.set(PHOTO, () => new Response(null, { status: 302 }));
		expect(await words(PHOTO)).toContain("302");
		vi.mocked(fetch).mockImplementation(
			(_, init) =>
				new Promise((_, reject) => {
					const signal = (init as RequestInit).signal as AbortSignal;
					signal.addEventListener("abort", () => reject(signal.reason));
				}),
		);
		expect(await words(PHOTO, { timeoutMs: 50 })).toContain("in time");
	});

	it("is fetched without credentials of the edge", async () => {
		vi.mocked(fetch).mockImplementation(async (input, init) => {
			const request = new Request(input as RequestInfo, init as RequestInit);
			expect([...request.headers.keys()].sort()).toEqual([
				"accept",
				"user-agent",
			]);
			expect(request.redirect).toBe("manual");
			return new Response(bytes);
		});
		expect(await get(PHOTO)).toEqual(bytes);
	});
});

describe("EGRESS_ALLOW", () => {
	const allow = ["127.0.0.1:8080", "localhost:80", "[::1]:443"];
	it("opens exactly the named pairs, over http too", async () => {
		const ok = () => new Response(Uint8Array.of(1));
		for (const url of [
			"http://127.0.0.1:8080/a",
			"http://localhost/",
			"https://[::1]/",
		]) {
			internet.set(url, ok);
			expect(await fetchGuarded(url, 9, "f", egress({ allow }))).toHaveLength(
				1,
			);
		}
		asked = [];
		for (const url of [
			"http://127.0.0.1:8081/",
			"http://127.0.0.1/",
			"https://localhost/",
			"http://[::1]/",
			"http://photos.example.org/",
			"ftp://localhost:80/",
			"http://user@127.0.0.1:8080/a",
			"http://127.0.0.2:8080/",
		])
			expect((await failure(url, { allow })).code).toBe("url_refused");
		expect(asked).toEqual([]);
	});
});

describe("DNS over HTTPS", () => {
	const resolve = dnsOverHttps("https://dns.example/q?ct=1");
	const never = new AbortController().signal;
	const answer = (type: "A" | "AAAA", body: unknown, status = 200) =>
		internet.set(
			`https://dns.example/q?ct=1&name=a.example.org&type=${type}`,
			() => Response.json(body, { status }),
		);

	it("asks for both address families and ignores other records", async () => {
		answer("A", {
			Status: 0,
			Answer: [
				{ type: 5, data: "b.example.org." },
				{ type: 1, data: "93.184.216.34" },
			],
		});
		answer("AAAA", { Status: 0, Answer: [{ type: 28, data: "2606:2800::1" }] });
		expect(await resolve("a.example.org", never)).toEqual([
			"93.184.216.34",
			"2606:2800::1",
		]);
	});

	it("tells a name that does not exist from a resolver that does not answer", async () => {
		answer("A", { Status: 3 });
		answer("AAAA", { Status: 3 });
		expect(await resolve("a.example.org", never)).toEqual([]);
		answer("AAAA", { Status: 2 });
		await expect(resolve("a.example.org", never)).rejects.toThrow();
		answer("AAAA", {}, 502);
		await expect(resolve("a.example.org", never)).rejects.toThrow();
	});
});
