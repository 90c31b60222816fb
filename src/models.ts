/** The models there are, as facts; which of them a deployment serves is its configuration (env.ts). */
import { ApiError } from "./errors.ts";
import {
	type LeastTokens,
	leastTokensOfLlama,
	leastTokensOfSmolLM2,
} from "./least-tokens.ts";

/** Models of one class cost the same, unless a deployment prices one of them by itself. */
export const PRICE_CLASSES = ["small", "medium", "large"] as const;
export type PriceClass = (typeof PRICE_CLASSES)[number];

export interface Model {
	id: string;
	/** When it came into this API. */
	created: Date;
	/** Who trained it. */
	ownedBy: string;
	/** Weights that an answer passes: vision encoder, what bridges it, projection, language model. Tied ones count once. */
	parameters: number;
	/** Tokens the model reads and writes in one call. */
	contextLength: number;
	/** Tokens one image takes in the prompt. */
	imageTokens: number;
	maxImages: number;
	priceClass: PriceClass;
	leastTokens: LeastTokens;
}

/** A model of this deployment. */
export interface ServedModel extends Model {
	/** Of one job, in micro-USD. */
	price: number;
	/** Its replicas, at least one; each at another URL. */
	workers: readonly Address[];
}

/** By id, in the order in which they are shown; the first is the default. */
export type ServedModels = ReadonlyMap<string, ServedModel>;

/** EVA-CLIP ViT-g/14 without its last block and head: 39 blocks of width 1408. */
const EVA_VIT_G = 985_894_528;
/** Its last norm comes with the Q-Former; without one it is the identity. */
const LN_VISION = 2_816;
/** BLIP-2's, the 32 queries included. */
const QFORMER = 105_162_240;
/** 32,000 rows in the vocabulary; the row of padding that some files add is never read. */
const LLAMA_7B = 6_738_415_616;
const LLAMA_13B = 13_015_864_320;

/** What MiniGPT-4's releases have in common. */
const FAMILY = {
	created: new Date("2026-11-23"),
	ownedBy: "Vision-CAIR",
	maxImages: 4,
	leastTokens: leastTokensOfLlama,
} as const;

export const MODELS = {
	nano: {
		id: "nano",
		created: new Date("2026-11-23"),
		ownedBy: "minigpt4-api",
		// EfficientNet-Lite2 with its batch norms folded in, its classes, the projection, SmolLM2-135M.
		parameters: 4_782_024 + 1_281_000 + 3_530_880 + 134_515_008,
		contextLength: 2048,
		imageTokens: 8,
		maxImages: 4,
		priceClass: "small",
		leastTokens: leastTokensOfSmolLM2,
	},
	"vicuna-7b": {
		...FAMILY,
		id: "vicuna-7b",
		parameters: EVA_VIT_G + LN_VISION + QFORMER + (768 + 1) * 4096 + LLAMA_7B,
		contextLength: 2048,
		imageTokens: 32,
		priceClass: "medium",
	},
	"llama2-7b": {
		...FAMILY,
		id: "llama2-7b",
		parameters: EVA_VIT_G + (4 * 1408 + 1) * 4096 + LLAMA_7B,
		contextLength: 4096,
		imageTokens: 64,
		priceClass: "medium",
	},
	"vicuna-13b": {
		...FAMILY,
		id: "vicuna-13b",
		parameters: EVA_VIT_G + LN_VISION + QFORMER + (768 + 1) * 5120 + LLAMA_13B,
		contextLength: 2048,
		imageTokens: 32,
		priceClass: "large",
	},
} as const satisfies Record<string, Model>;
export const MODEL_IDS = Object.keys(MODELS) as (keyof typeof MODELS)[];

/** @throws ApiError `model_not_found` */
export function modelOf(models: ServedModels, id: string): ServedModel {
	const model = models.get(id);
	if (!model)
		throw new ApiError({
			code: "model_not_found",
			model: id,
			known: [...models.keys()],
		});
	return model;
}

/** What a request that names no model gets. */
export const defaultModel = (models: ServedModels): ServedModel =>
	models.values().next().value as ServedModel;

/** Where a worker answers, and what opens it. */
export interface WorkerAddress {
	url: string;
	key: string;
	/** A Cloudflare Access service token, where a tunnel asks for one. */
	access: { id: string; secret: string } | null;
}

/** Where predictions of a model are made, and what pays for them. */
export interface ReplicateAddress {
	/** The deployment or the version, in Replicate's API; no two addresses of a model have the same. */
	url: string;
	replicate: {
		/** As we call it. */
		model: string;
		token: string;
		/** Predictions at once. */
		slots: number;
		/** `owner/name` of a deployment, or `owner/name:version` of a model. */
		run: string;
		/** Where Replicate's API is. */
		api: string;
		/** Replicate tells `url` what becomes of a prediction, signed with the secret. */
		webhook: { url: string; secret: string } | null;
	};
}

export type Address = WorkerAddress | ReplicateAddress;
