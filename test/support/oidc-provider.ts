/**
 * An OpenID provider for the tests of what a real one cannot be made to do: answer with a wrong
 * nonce, issuer or audience, or not at all. It signs with a real key.
 */
import { generateKeyPair, SignJWT } from "jose";

export const ISSUER = "http://id.test";
const ALG = "ES256";

export interface Claims {
	iss: string;
	aud: string;
	sub: string;
	nonce: string;
	exp: number;
	name?: string;
}

export class TestProvider {
	/** Changes the claims of the next identities. */
	twist: (claims: Claims) => Partial<Claims> = () => ({});
	subject = "ada";
	isDown = false;
	/** Requests for tokens: each code's verifier. */
	readonly redeemed: URLSearchParams[] = [];
	readonly #keys = generateKeyPair(ALG);
	readonly #codes = new Map<string, { nonce: string; challenge: string }>();

	/** What a person does at the provider. @returns where the browser is sent back to */
	approve(authorization: string, sent: Record<string, string> = {}): URL {
		const { searchParams } = new URL(authorization);
		const get = (name: string) => searchParams.get(name) ?? "";
		const code = crypto.randomUUID();
		this.#codes.set(code, {
			nonce: get("nonce"),
			challenge: get("code_challenge"),
		});
		const back = new URL(get("redirect_uri"));
		const answer = { code, state: get("state"), iss: ISSUER, ...sent };
		for (const [name, value] of Object.entries(answer))
			back.searchParams.set(name, value);
		return back;
	}

	async fetch(request: Request): Promise<Response> {
		const { pathname } = new URL(request.url);
		if (this.isDown) return new Response(null, { status: 502 });
		if (pathname === "/.well-known/openid-configuration")
			return Response.json({
				issuer: ISSUER,
				authorization_endpoint: `${ISSUER}/authorize`,
				token_endpoint: `${ISSUER}/token`,
				response_types_supported: ["code"],
				authorization_response_iss_parameter_supported: true,
				id_token_signing_alg_values_supported: [ALG],
			});
		const form = new URLSearchParams(await request.text());
		this.redeemed.push(form);
		const code = form.get("code") ?? "";
		const kept = this.#codes.get(code);
		this.#codes.delete(code); // a code works once
		if (!kept || (await challengeOf(form)) !== kept.challenge)
			return Response.json({ error: "invalid_grant" }, { status: 400 });
		return Response.json({
			access_token: "access",
			token_type: "Bearer",
			id_token: await this.#idToken(kept.nonce),
		});
	}

	async #idToken(nonce: string): Promise<string> {
		const now = Math.floor(Date.now() / 1000);
		const claims: Claims = {
			iss: ISSUER,
			aud: "console",
			sub: this.subject,
			nonce,
			exp: now + 300,
			name: "Ada Lovelace",
		};
		const { privateKey } = await this.#keys;
		return new SignJWT({ ...claims, iat: now, ...this.twist(claims) })
			.setProtectedHeader({ alg: ALG, kid: "1" })
			.sign(privateKey);
	}
}

async function challengeOf(form: URLSearchParams): Promise<string> {
	const verifier = new TextEncoder().encode(form.get("code_verifier") ?? "");
	const digest = await crypto.subtle.digest("SHA-256", verifier);
	return new Uint8Array(digest).toBase64({
		alphabet: "base64url",
		omitPadding: true,
	});
}
