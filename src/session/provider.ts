/** Signing in with an OpenID provider: authorization code with PKCE, state and nonce. */
import {
	AuthorizationResponseError,
	type AuthorizationServer,
	allowInsecureRequests,
	authorizationCodeGrantRequest,
	type Client,
	type ClientAuth,
	ClientSecretBasic,
	ClientSecretPost,
	calculatePKCECodeChallenge,
	discoveryRequest,
	generateRandomCodeVerifier,
	generateRandomNonce,
	generateRandomState,
	getValidatedIdTokenClaims,
	None,
	processAuthorizationCodeResponse,
	processDiscoveryResponse,
	validateAuthResponse,
} from "oauth4webapi";
import type { Person } from "../contract/directory.ts";
import type { Config } from "../env.ts";
import { ApiError } from "../errors.ts";
import { logLine } from "../log.ts";

type Provider = NonNullable<Config["OIDC"]>;

/** What the browser keeps, sealed, while somebody is at the provider. */
export interface Attempt {
	state: string;
	nonce: string;
	verifier: string;
}

/** How long what a provider tells of itself is used. */
const DISCOVERY_MS = 3_600_000;
const discovered = new Map<
	string,
	{ at: number; server: AuthorizationServer }
>();

/**
 * @param redirectUri where the provider sends the browser back to
 * @returns where to send the browser
 * @throws ApiError `provider_unreachable`
 */
export async function authorizationUrl(
	config: Config,
	provider: Provider,
	redirectUri: string,
): Promise<{ url: URL; attempt: Attempt }> {
	const server = await serverOf(config, provider);
	if (!server.authorization_endpoint)
		throw new ApiError({ code: "provider_unreachable" });
	const attempt = {
		state: generateRandomState(),
		nonce: generateRandomNonce(),
		verifier: generateRandomCodeVerifier(),
	};
	const url = new URL(server.authorization_endpoint);
	const parameters = {
		client_id: provider.client_id,
		redirect_uri: redirectUri,
		response_type: "code",
		scope: "openid profile email",
		state: attempt.state,
		nonce: attempt.nonce,
		code_challenge: await calculatePKCECodeChallenge(attempt.verifier),
		code_challenge_method: "S256",
	};
	for (const [name, value] of Object.entries(parameters))
		url.searchParams.set(name, value);
	return { url, attempt };
}

/**
 * Who the provider says has come back.
 * @param callback the address that it sent the browser to
 * @throws ApiError `sign_in_denied`, `sign_in_failed`, `provider_unreachable`
 */
export async function personOf(
	config: Config,
	provider: Provider,
	redirectUri: string,
	callback: URL,
	{ state, nonce, verifier }: Attempt,
): Promise<{ person: Person; name: string }> {
	const server = await serverOf(config, provider);
	const client: Client = { client_id: provider.client_id };
	try {
		const parameters = validateAuthResponse(server, client, callback, state);
		const response = await authorizationCodeGrantRequest(
			server,
			client,
			authentication(provider, server),
			parameters,
			redirectUri,
			verifier,
			httpOptions(config),
		);
		const result = await processAuthorizationCodeResponse(
			server,
			client,
			response,
			{ expectedNonce: nonce, requireIdToken: true },
		);
		const claims = getValidatedIdTokenClaims(result);
		if (!claims) throw new ApiError({ code: "sign_in_failed" });
		return {
			person: { issuer: server.issuer, subject: claims.sub },
			name: nameIn(claims),
		};
	} catch (error) {
		if (error instanceof AuthorizationResponseError)
			throw new ApiError({
				code:
					error.error === "access_denied" ? "sign_in_denied" : "sign_in_failed",
			});
		// The error's message may quote what the provider sent; its code is one of the package's own.
		const { code } = error as { code?: unknown };
		logLine("sign_in_failed", { cause: String(code ?? "unknown") });
		throw new ApiError({ code: "sign_in_failed" });
	}
}

async function serverOf(
	config: Config,
	{ issuer }: Provider,
): Promise<AuthorizationServer> {
	const kept = discovered.get(issuer);
	if (kept && Date.now() - kept.at < DISCOVERY_MS) return kept.server;
	try {
		const url = new URL(issuer);
		const response = await discoveryRequest(url, httpOptions(config));
		const server = await processDiscoveryResponse(url, response);
		discovered.set(issuer, { at: Date.now(), server });
		return server;
	} catch (error) {
		const { code } = error as { code?: unknown };
		logLine("provider_unreachable", { cause: String(code ?? "unknown") });
		throw new ApiError({ code: "provider_unreachable" });
	}
}

/** Only a deployment for development talks to a provider without TLS. */
const httpOptions = ({ ENVIRONMENT }: Config) => ({
	[allowInsecureRequests]: ENVIRONMENT === "development",
	signal: AbortSignal.timeout(10_000),
});

function authentication(
	{ client_secret }: Provider,
	server: AuthorizationServer,
): ClientAuth {
	if (client_secret === undefined) return None();
	const methods = server.token_endpoint_auth_methods_supported ?? [
		"client_secret_basic",
	];
	return methods.includes("client_secret_basic")
		? ClientSecretBasic(client_secret)
		: ClientSecretPost(client_secret);
}

/** A name for the account, of the first claim that has one. */
function nameIn(claims: { sub: string; [claim: string]: unknown }): string {
	const { name, email, preferred_username, sub } = claims;
	const [first = sub] = [name, email, preferred_username].filter(
		(claim): claim is string => typeof claim === "string" && claim !== "",
	);
	return first.slice(0, 128);
}
