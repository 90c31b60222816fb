/** Receipts of jobs, and the keys that they are verified with. */
import { z } from "@hono/zod-openapi";
import { FinishReason } from "./job.ts";
import { PAID, PAID_EXAMPLE } from "./price.ts";

const hash = (description: string) =>
	z.string().openapi({ description: `SHA-256, hex: ${description}` });

export const ReceiptClaims = z
	.object({
		iss: z.url().openapi({ description: "The API" }),
		sub: z.string().openapi({ description: "The account" }),
		jti: z.string().openapi({ description: "The job" }),
		iat: z.int().openapi({
			description:
				"The end of the job, in seconds since 1970: its receipt is the same whenever you ask",
		}),
		status: z.enum(["succeeded", "failed", "canceled", "expired"]),
		model: z.string(),
		model_digests: z.array(z.string()).openapi({
			description:
				"Of the weights that the attempts ran on, each once. `GET /readyz` of a worker names its.",
		}),
		request_sha256: hash(
			"what the model was asked, `request` of the receipt's response",
		),
		image_sha256: z.array(z.string()).openapi({
			description:
				"SHA-256, hex, of each image as the model saw it: without metadata",
		}),
		description_sha256: hash("`output.description`, as UTF-8").nullable(),
		output_sha256: hash("`output.text`, as UTF-8"),
		finish_reason: FinishReason.nullable(),
		usage: z.object({
			images: z.int(),
			prompt_tokens: z.int().nullable(),
			output_tokens: z.int(),
		}),
		attempts: z.int().openapi({
			description:
				"How often a worker was asked: more than once after a worker failed, or if the answer " +
				"has a description before it",
		}),
		...PAID,
		price_version: z.string(),
		created_at: z.iso.datetime(),
		finished_at: z.iso.datetime(),
	})
	.openapi("ReceiptClaims");
export type ReceiptClaims = z.infer<typeof ReceiptClaims>;

const CLAIMS: ReceiptClaims = {
	iss: "https://api.example.com",
	sub: "01JD8Z5N0C4X7T2B9K6M3W1R8D",
	jti: "01JD8Z6Q3V9Y4K2M7N5P8R1S3T",
	iat: 1_796_034_605,
	status: "succeeded",
	model: "nano",
	model_digests: [
		"5f2b0c1d9e8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c",
	],
	request_sha256:
		"0b7e2c5a9d4f8e1b3c6a7d2f5e8b1c4a9f3d6e0b7c2a5d8f1e4b9c3a6d7f0e2b",
	image_sha256: [
		"9c1a4e7b2d5f8c3a6e9b1d4f7a2c5e8b3d6f9a1c4e7b2d5f8a3c6e9b1d4f7a2c",
	],
	description_sha256: null,
	output_sha256:
		"3d6f9a1c4e7b2d5f8a3c6e9b1d4f7a2c9c1a4e7b2d5f8c3a6e9b1d4f7a2c5e8b",
	finish_reason: "stop",
	usage: { images: 1, prompt_tokens: 94, output_tokens: 11 },
	attempts: 1,
	...PAID_EXAMPLE,
	price_version: "2026-11",
	created_at: "2026-11-30T09:30:00.000Z",
	finished_at: "2026-11-30T09:30:05.000Z",
};

export const Receipt = z
	.object({
		object: z.literal("receipt"),
		job: z.string(),
		receipt: z.string().openapi({
			description:
				"The claims, signed: a compact JWS with EdDSA over Ed25519. `GET /.well-known/jwks.json` " +
				"has the public key that its `kid` names.",
		}),
		claims: ReceiptClaims,
		request: z.string().openapi({
			description:
				"What the model was asked, as canonical JSON (RFC 8785): model, messages, the images' " +
				"hashes and every sampling parameter. Keep it beside the receipt, which holds its hash.",
		}),
	})
	.openapi("Receipt", {
		example: {
			object: "receipt",
			job: CLAIMS.jti,
			receipt:
				"eyJhbGciOiJFZERTQSIsImtpZCI6IuKApiIsInR5cCI6IkpXVCJ9.eyJhdHR.c2ln",
			claims: CLAIMS,
			request: '{"follow_up":null,"images":["9c1a…"],"messages":[…],…}',
		},
	});

export const ReceiptKeys = z
	.object({
		keys: z.array(
			z.object({
				kty: z.literal("OKP"),
				crv: z.literal("Ed25519"),
				x: z.string().openapi({ description: "The key, base64url" }),
				kid: z
					.string()
					.openapi({ description: "The thumbprint of the key (RFC 7638)" }),
				alg: z.literal("EdDSA"),
				use: z.literal("sig"),
			}),
		),
	})
	.openapi("ReceiptKeys", {
		example: {
			keys: [
				{
					kty: "OKP",
					crv: "Ed25519",
					x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
					kid: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
					alg: "EdDSA",
					use: "sig",
				},
			],
		},
	});
