import { beforeEach, describe, expect, it, vi } from "vitest";
import { newAccountId } from "../../src/api-key.ts";
import { sha256 } from "../../src/crypto.ts";
import { config } from "../../src/env.ts";
import { bindings, newAccount } from "../support/account.ts";
import { JOB_REQUEST, type Wire } from "../support/calls.ts";
import { edge } from "../support/edge.ts";
import { fakeWorker, words } from "../support/jobs.ts";
import { ISSUER, TestProvider } from "../support/oidc-provider.ts";

const SITE = "https://edge.test";
const WELCOME = 250_000;

let provider: TestProvider;

beforeEach(() => {
	provider = new TestProvider();
	provider.subject = crypto.randomUUID();
	const before = globalThis.fetch;
	vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
		const url = input instanceof Request ? input.url : String(input);
		return new URL(url).origin === ISSUER
			? provider.fetch(new Request(input as RequestInfo, init as RequestInit))
			: before(input, init);
	});
	Object.assign(config(bindings), {
		OIDC: { issuer: ISSUER, client_id: "console" },
		WELCOME_CREDIT: WELCOME,
	});
	fakeWorker({ tokens: words(3) });
});

/** A browser: its cookies, and the token that the page keeps. */
class Browser {
	readonly cookies = new Map<string, string>();
	readonly setCookies: string[] = [];
	token: string = crypto.randomUUID();

	async call(
		path: string,
		{
			headers,
			...init
		}: RequestInit & { headers?: Record<string, string> } = {},
	): Promise<Response> {
		const response = await edge.fetch(`${SITE}${path}`, {
			redirect: "manual",
			...init,
			headers: {
				Cookie: [...this.cookies]
					.map(([name, value]) => `${name}=${value}`)
					.join("; "),
				...headers,
			},
		});
		for (const cookie of response.headers.getSetCookie()) {
			this.setCookies.push(cookie);
			const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
			if (/max-age=0/i.test(cookie)) this.cookies.delete(name);
			else this.cookies.set(name, value);
		}
		return response;
	}

	async post(path: string, body?: object, origin = SITE): Promise<Response> {
		return this.call(path, {
			method: "POST",
			headers: {
				Origin: origin,
				"X-Console-Token": this.token,
				...(body && { "Content-Type": "application/json" }),
			},
			body: body ? JSON.stringify(body) : null,
		});
	}

	async get(path: string, token = this.token): Promise<Response> {
		return this.call(path, { headers: { "X-Console-Token": token } });
	}

	/** The first half of a sign-in. @returns where the provider's page is */
	async begin(link?: string): Promise<string> {
		const token = await sha256(this.token);
		const response = await this.post("/console/sign-in", { token, link });
		expect(response.status).toBe(200);
		return (await response.json<{ url: string }>()).url;
	}

	/** Follows the provider's way back. @returns where it leads */
	async comeBack(to: URL): Promise<string | null> {
		const response = await this.call(to.pathname + to.search);
		expect(response.status).toBe(303);
		return response.headers.get("Location");
	}

	async signIn(): Promise<void> {
		const back = provider.approve(await this.begin());
		expect(await this.comeBack(back)).toBe("/console");
	}

	async account(): Promise<Wire> {
		return (await this.get("/console/v1/account")).json();
	}
}

const codeOf = async (response: Response) => [
	response.status,
	(await response.json<Wire>()).code,
];

describe("a sign-in at the provider", () => {
	it("makes the account at the first, with the welcome credit, once for each person", async () => {
		const browser = new Browser();
		await browser.signIn();
		const account = await browser.account();
		expect(account).toMatchObject({
			name: "Ada Lovelace",
			balance: { available: WELCOME, held: 0 },
		});
		const other = new Browser();
		await other.signIn();
		expect(await other.account()).toEqual(account);
		// What an operator gives newcomers from now on is not for those who came before.
		Object.assign(config(bindings), { WELCOME_CREDIT: 2 * WELCOME });
		await new Browser().signIn();
		expect((await other.account()).balance.available).toBe(WELCOME);
	});

	it("asks with state, nonce and a challenge, whose secrets a sealed cookie keeps", async () => {
		const browser = new Browser();
		const url = new URL(await browser.begin());
		expect(Object.fromEntries(url.searchParams)).toEqual({
			client_id: "console",
			redirect_uri: `${SITE}/console/callback`,
			response_type: "code",
			scope: "openid profile email",
			state: expect.stringMatching(/^[\w-]{43}$/),
			nonce: expect.stringMatching(/^[\w-]{43}$/),
			code_challenge: expect.stringMatching(/^[\w-]{43}$/),
			code_challenge_method: "S256",
		});
		expect(browser.setCookies).toEqual([
			expect.stringMatching(
				/^__Host-sign-in=[\w.-]+; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
			),
		]);
		for (const [, value] of browser.cookies)
			expect(value).not.toContain(url.searchParams.get("state"));
	});

	it("works in the browser that began it alone", async () => {
		const back = provider.approve(await new Browser().begin());
		const victim = new Browser();
		const failed = "/console?error=sign_in_failed";
		expect(await victim.comeBack(back)).toBe(failed);
		// Nor with an attempt of its own under way.
		await victim.begin();
		expect(await victim.comeBack(back)).toBe(failed);
		expect((await victim.get("/console/v1/account")).status).toBe(401);
	});

	it("works once: its address cannot be replayed", async () => {
		const browser = new Browser();
		const kept = await browser.begin();
		const cookies = new Map(browser.cookies);
		const back = provider.approve(kept);
		expect(await browser.comeBack(back)).toBe("/console");
		expect(await browser.comeBack(back)).toBe("/console?error=sign_in_failed");
		const thief = new Browser();
		for (const [name, value] of cookies) thief.cookies.set(name, value);
		expect(await thief.comeBack(back)).toBe("/console?error=sign_in_failed");
	});

	it.each([
		["nonce", { nonce: "another" }],
		["issuer", { iss: "http://other.test" }],
		["audience", { aud: "another client" }],
		["time", { exp: 1 }],
	])("fails with an identity of another %s", async (_, twisted) => {
		provider.twist = () => twisted;
		const browser = new Browser();
		const back = provider.approve(await browser.begin());
		expect(await browser.comeBack(back)).toBe("/console?error=sign_in_failed");
		expect(browser.cookies.size).toBe(0);
	});

	it("fails with another state, and where the person refuses", async () => {
		const browser = new Browser();
		const url = await browser.begin();
		const other = provider.approve(url, { state: "another" });
		expect(await browser.comeBack(other)).toBe("/console?error=sign_in_failed");
		const refused = provider.approve(await browser.begin(), {
			error: "access_denied",
		});
		refused.searchParams.delete("code");
		expect(await browser.comeBack(refused)).toBe(
			"/console?error=sign_in_denied",
		);
	});

	it("is not there without a provider", async () => {
		Object.assign(config(bindings), { OIDC: undefined });
		const response = await new Browser().post("/console/sign-in", {
			token: "0".repeat(64),
		});
		expect(await codeOf(response)).toEqual([404, "sign_in_off"]);
	});

	it("is refused to another site's page, and to a body without a token", async () => {
		const browser = new Browser();
		const body = { token: "0".repeat(64) };
		const elsewhere = "https://evil.test";
		expect(
			await codeOf(await browser.post("/console/sign-in", body, elsewhere)),
		).toEqual([403, "session_not_bound"]);
		expect(await codeOf(await browser.post("/console/sign-in", {}))).toEqual([
			400,
			"invalid_request",
		]);
	});
});

describe("a session", () => {
	it("is a sealed cookie for this host, which no script and no other site gets", async () => {
		const browser = new Browser();
		await browser.signIn();
		const cookie = browser.setCookies.at(-1) ?? "";
		expect(cookie).toMatch(
			/^__Host-session=[\w.-]+; Max-Age=43200; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
		);
		expect(cookie).not.toContain("mg_live_");
	});

	it("leaves no secret in the log: code, state, cookies, token, key", async () => {
		const log = vi.spyOn(console, "log");
		const browser = new Browser();
		const back = provider.approve(await browser.begin());
		const secrets = [
			browser.token,
			await sha256(browser.token),
			...browser.cookies.values(),
			...["code", "state"].map((name) => back.searchParams.get(name) ?? ""),
		];
		await browser.comeBack(back);
		await browser.comeBack(back);
		await browser.get("/console/v1/account");
		secrets.push(...browser.cookies.values(), "mg_live_");
		const lines = log.mock.calls.map((line) => line.join(" "));
		expect(lines.length).toBeGreaterThan(3);
		for (const secret of secrets)
			expect(lines.filter((line) => line.includes(secret))).toEqual([]);
	});

	it("is the browser's only one: another sign-in ends it", async () => {
		const browser = new Browser();
		await browser.signIn();
		const before = new Browser();
		before.token = browser.token;
		for (const [name, value] of browser.cookies)
			before.cookies.set(name, value);
		await browser.signIn();
		expect(await codeOf(await before.get("/console/v1/account"))).toEqual([
			401,
			"revoked_key",
		]);
		expect((await browser.get("/console/v1/account")).status).toBe(200);
	});

	it("makes any call of the API, as its key would", async () => {
		const browser = new Browser();
		await browser.signIn();
		const created = await browser.post("/console/v1/jobs", JOB_REQUEST);
		expect(created.status).toBe(202);
		const { id } = await created.json<Wire>();
		const job = await browser.get(`/console/v1/jobs/${id}`);
		expect((await job.json<Wire>()).id).toBe(id);
		const events = await browser.get(`/console/v1/jobs/${id}/events`);
		expect(events.headers.get("Content-Type")).toMatch(/^text\/event-stream/);
		expect(await events.text()).toContain("event: done");
		expect((await browser.get("/console/v1/nowhere")).status).toBe(404);
	});

	it("cannot be used in a second browser that has its cookie", async () => {
		const browser = new Browser();
		await browser.signIn();
		const second = new Browser();
		for (const [name, value] of browser.cookies)
			second.cookies.set(name, value);
		expect(await codeOf(await second.get("/console/v1/account"))).toEqual([
			403,
			"session_not_bound",
		]);
		expect((await browser.get("/console/v1/account")).status).toBe(200);
	});

	it("cannot be used by another site's page: neither a write nor a read", async () => {
		const browser = new Browser();
		await browser.signIn();
		const elsewhere = await browser.post(
			"/console/v1/keys",
			{ name: "theirs" },
			"https://evil.test",
		);
		expect(await codeOf(elsewhere)).toEqual([403, "session_not_bound"]);
		for (const headers of [{}, { "X-Console-Token": "guess" }])
			expect(
				await codeOf(await browser.call("/console/v1/account", { headers })),
			).toEqual([403, "session_not_bound"]);
	});

	it("is refused with any one character changed, and to who has none", async () => {
		const browser = new Browser();
		expect(await codeOf(await browser.get("/console/v1/account"))).toEqual([
			401,
			"session_required",
		]);
		await browser.signIn();
		const sealed = browser.cookies.get("__Host-session") as string;
		for (let at = 0; at < sealed.length - 1; at += 17) {
			const other = sealed[at] === "A" ? "B" : "A";
			browser.cookies.set(
				"__Host-session",
				sealed.slice(0, at) + other + sealed.slice(at + 1),
			);
			expect((await browser.get("/console/v1/account")).status).toBe(401);
		}
	});

	it("gets a new secret each hour, while calls of the old one go on", async () => {
		const browser = new Browser();
		await browser.signIn();
		const old = new Map(browser.cookies);
		const now = Date.now();
		vi.spyOn(Date, "now").mockReturnValue(now + 3_601_000);
		expect((await browser.get("/console/v1/account")).status).toBe(200);
		expect(browser.cookies).not.toEqual(old);
		const late = new Browser();
		late.token = browser.token;
		for (const [name, value] of old) late.cookies.set(name, value);
		// A repeat of the rotation gets no secret, and no new cookie.
		expect((await late.get("/console/v1/account")).status).toBe(200);
		expect(late.cookies).toEqual(old);
		expect((await browser.get("/console/v1/account")).status).toBe(200);
	});

	it("ends with signing out, also for who kept its cookie, and after twelve hours", async () => {
		const browser = new Browser();
		await browser.signIn();
		const kept = new Map(browser.cookies);
		expect((await browser.post("/console/sign-out")).status).toBe(204);
		expect(browser.cookies.size).toBe(0);
		for (const [name, value] of kept) browser.cookies.set(name, value);
		expect(await codeOf(await browser.get("/console/v1/account"))).toEqual([
			401,
			"revoked_key",
		]);
		const other = new Browser();
		await other.signIn();
		vi.spyOn(Date, "now").mockReturnValue(Date.now() + 43_201_000);
		expect((await other.get("/console/v1/account")).status).toBe(401);
	});
});

describe("a link of operators'", () => {
	const admin = (path: string, init: RequestInit = {}) =>
		edge.fetch(`${SITE}/admin${path}`, {
			...init,
			headers: {
				Authorization: "Bearer test-admin-secret-test-admin-secret",
				"Content-Type": "application/json",
			},
		});

	it("signs in once, to the account that it is for", async () => {
		const made = await admin("/accounts", {
			method: "POST",
			body: JSON.stringify({ name: "acme" }),
		});
		const { id } = await made.json<Wire>();
		const listed = await admin(`/accounts?query=${id}`);
		expect((await listed.json<Wire>()).data).toMatchObject([
			{ id, name: "acme", person: null },
		]);
		const response = await admin(`/accounts/${id}/sign-in-links`, {
			method: "POST",
		});
		expect(response.headers.get("Cache-Control")).toBe("no-store");
		const link = new URL((await response.json<Wire>()).url).hash.slice(6);
		const browser = new Browser();
		expect(await browser.begin(link)).toBeNull();
		expect((await browser.account()).id).toBe(id);
		const body = { token: await sha256("x"), link };
		for (const sent of [link, "a guess"])
			expect(
				await codeOf(
					await new Browser().post("/console/sign-in", { ...body, link: sent }),
				),
			).toEqual([400, "sign_in_link_used"]);
	});

	it("is made for any account there is, listed or not, and for no other", async () => {
		const link = (id: string) =>
			admin(`/accounts/${id}/sign-in-links`, { method: "POST" });
		const { id } = await newAccount();
		expect((await link(id)).status).toBe(201);
		const listed = await admin(`/accounts?query=${id}`);
		expect((await listed.json<Wire>()).data).toHaveLength(1);
		expect(await codeOf(await link(newAccountId()))).toEqual([
			404,
			"account_not_found",
		]);
	});
});
