/** A job's receipt: what it says, and its signature. */
import canonicalize from "canonicalize";
import { CompactSign } from "jose";
import type { JobView, RunFacts, RunRequest } from "../contract/job.ts";
import { sha256 } from "../crypto.ts";
import type { ReceiptClaims } from "../schema/receipt.ts";
import { signingKey } from "./keys.ts";

/** A job that is settled. */
export type SettledView = JobView & {
	status: ReceiptClaims["status"];
	finishedAt: string;
	price: number;
	priceParts: NonNullable<JobView["priceParts"]>;
};

export const isSettled = (view: JobView): view is SettledView =>
	view.finishedAt !== null && view.price !== null && view.priceParts !== null;

/**
 * The text whose SHA-256 a receipt holds: canonical JSON (RFC 8785) of all that decides the answer
 * but the weights.
 */
export const requestText = ({
	model,
	messages,
	followUp,
	images,
	sampling,
}: RunRequest): string =>
	canonicalize({
		model,
		messages,
		follow_up: followUp,
		images,
		sampling,
	}) as string;

/** @param issuer this API's origin */
export async function claimsOf(
	view: SettledView,
	run: RunFacts,
	issuer: string,
): Promise<ReceiptClaims> {
	const { description, finishedAt } = view;
	return {
		iss: issuer,
		sub: run.account,
		jti: view.id,
		// The end of the job, so that its receipt is the same whenever it is asked for.
		iat: Math.floor(Date.parse(finishedAt) / 1000),
		status: view.status,
		model: view.model,
		model_digests: run.digests,
		request_sha256: await sha256(requestText(run.request)),
		image_sha256: run.request.images,
		description_sha256: description === null ? null : await sha256(description),
		output_sha256: view.sha256,
		finish_reason: view.finishReason,
		usage: {
			images: view.images.length,
			prompt_tokens: view.promptTokens,
			output_tokens: view.outputTokens,
		},
		attempts: run.attempts,
		price: view.price,
		price_parts: view.priceParts,
		price_version: view.priceVersion,
		created_at: view.createdAt,
		finished_at: finishedAt,
	};
}

/**
 * Signs claims as a compact JWS (RFC 7515) with EdDSA (RFC 8037).
 * @param secret the deployment's first key secret
 */
export async function signReceipt(
	claims: ReceiptClaims,
	secret: string,
): Promise<string> {
	const { privateKey, publicKey } = await signingKey(secret);
	const payload = canonicalize(claims) as string;
	return new CompactSign(new TextEncoder().encode(payload))
		.setProtectedHeader({ alg: "EdDSA", kid: publicKey.kid, typ: "JWT" })
		.sign(privateKey);
}
