/** Facts about every model. The configuration (env.ts) says which of them a deployment serves. */
import { ApiError } from "./errors.ts";
import {
	LONGEST_LLAMA_TOKEN,
	LONGEST_QWEN2_TOKEN_BYTES,
	LONGEST_SMOLLM2_TOKEN_BYTES,
	leastTokensOfLlama,
	leastTokensOfQwen2,
	leastTokensOfSmolLM2,
} from "./least-tokens.ts";
import type { PromptModel, TemplateTokens } from "./pricing/bound.ts";
import type { Prices } from "./pricing/prices.ts";

/** `PromptModel` has what decides how long a prompt becomes. */
export interface Model extends PromptModel {
	id: string;
	/** When this API first offered it. */
	created: Date;
	/** Who trained it. */
	ownedBy: string;
	/**
	 * Whether a part's licence, or the terms of the data that a part was trained on, allow research
	 * and education only.
	 */
	researchOnly: boolean;
	/** The licences of its parts, and what restricts them, in one sentence. */
	license: string;
	/**
	 * The weights that the model computes with: vision encoder, Q-Former or its substitute,
	 * projection and language model. Tied weights count once.
	 */
	parameters: number;
	maxImages: number;
	/**
	 * Whether a job with a task first has the model describe the images. Models that are trained on
	 * captions alone write better stories over a description than over an image.
	 */
	describesFirst: boolean;
	/** How it samples where a request does not say. */
	sampling: { temperature: number; topP: number; repetitionPenalty: number };
}

/** A model that this deployment serves. */
export interface ServedModel extends Model {
	prices: Prices;
	/** Its replicas: at least one, each with its own URL. */
	workers: readonly Address[];
}

/** Models by id, in the order in which the API lists them. The first is the default. */
export type ServedModels = ReadonlyMap<string, ServedModel>;

/** EVA-CLIP ViT-g/14 without its last block and head: 39 blocks of width 1408. */
const EVA_VIT_G = 985_894_528;
/**
 * The layer norm between the vision encoder and the Q-Former. Models without a Q-Former have none.
 */
const LN_VISION = 2_816;
/** BLIP-2's Q-Former, with its 32 query tokens. */
const QFORMER = 105_162_240;
/** With a vocabulary of 32,000 rows. Some files add a padding row, which the model never reads. */
const LLAMA_7B = 6_738_415_616;
const LLAMA_13B = 13_015_864_320;

/** The sampling of MiniGPT-4's demo. */
const AS_RELEASED = { temperature: 1, topP: 0.9, repetitionPenalty: 1.05 };

/** Templates by the names that gpu-worker/minigpt4/templates.py gives them. */
const CHATML = {
	chat: 0,
	image: 1,
	text: 0,
};
const QWEN2_CHATML: TemplateTokens = {
	...CHATML,
	conversation: 3,
	message: { system: 5, user: 5, assistant: 5 },
};
/** SmolLM2 writes `assistant` as two tokens. */
const SMOLLM2_CHATML: TemplateTokens = {
	...CHATML,
	conversation: 4,
	message: { system: 5, user: 5, assistant: 6 },
};
const VICUNA_CHAT: TemplateTokens = {
	conversation: 7,
	/** The demo's system text. */
	chat: 33,
	message: { system: 0, user: 5, assistant: 5 },
	image: 6,
	/** The space that SentencePiece puts before it. */
	text: 1,
};
const LLAMA2_CHAT: TemplateTokens = {
	...VICUNA_CHAT,
	conversation: 6,
	/** An empty turn of the user's too, before an answer that comes first. */
	chat: 33 + 4,
	message: { system: 0, user: 4, assistant: 4 },
};
const VICUNA = {
	researchOnly: true,
	license:
		"Vicuna v0 is fine-tuned LLaMA, whose licence allows non-commercial research only; the " +
		"repositories that publish the other parts, MiniGPT-4 and LAVIS, are under BSD-3-Clause.",
} as const;

/** What all of MiniGPT-4's own models have in common. */
const FAMILY = {
	created: new Date("2026-11-23"),
	ownedBy: "Vision-CAIR",
	maxImages: 4,
	describesFirst: false,
	sampling: AS_RELEASED,
	longestToken: LONGEST_LLAMA_TOKEN.bytes,
	leastTokens: leastTokensOfLlama,
} as const;

export const MODELS = {
	mini: {
		id: "mini",
		created: new Date("2026-12-01"),
		ownedBy: "minigpt4-api",
		researchOnly: true,
		license:
			"The projection is for non-commercial research and education only, because it was trained " +
			"on photos of Flickr8k and ImageNet; EfficientNet-Lite2 and Qwen2.5-Coder-1.5B-Instruct " +
			"are under Apache-2.0.",
		// EfficientNet-Lite2 with folded batch norms, its classifier, the principal components of its
		// features, the projection, Qwen2.5-Coder-1.5B.
		parameters: 4_782_024 + 1_281_000 + 1_377_600 + 9_102_336 + 1_543_714_304,
		contextLength: 4096,
		imageTokens: 10,
		maxImages: 4,
		describesFirst: true,
		sampling: { temperature: 0.5, topP: 0.9, repetitionPenalty: 1.05 },
		template: QWEN2_CHATML,
		longestToken: LONGEST_QWEN2_TOKEN_BYTES,
		leastTokens: leastTokensOfQwen2,
	},
	nano: {
		id: "nano",
		created: new Date("2026-11-23"),
		ownedBy: "minigpt4-api",
		researchOnly: true,
		license:
			"The projection is for non-commercial research and education only, because it was trained " +
			"on photos of ImageNet; EfficientNet-Lite2 and SmolLM2-135M-Instruct are under Apache-2.0.",
		// EfficientNet-Lite2 with folded batch norms, its classifier, the projection, SmolLM2-135M.
		parameters: 4_782_024 + 1_281_000 + 3_530_880 + 134_515_008,
		contextLength: 2048,
		imageTokens: 8,
		maxImages: 4,
		describesFirst: false,
		sampling: AS_RELEASED,
		template: SMOLLM2_CHATML,
		longestToken: LONGEST_SMOLLM2_TOKEN_BYTES,
		leastTokens: leastTokensOfSmolLM2,
	},
	"vicuna-7b": {
		...FAMILY,
		...VICUNA,
		id: "vicuna-7b",
		parameters: EVA_VIT_G + LN_VISION + QFORMER + (768 + 1) * 4096 + LLAMA_7B,
		contextLength: 2048,
		imageTokens: 32,
		template: VICUNA_CHAT,
	},
	"llama2-7b": {
		...FAMILY,
		id: "llama2-7b",
		researchOnly: false,
		license:
			"Llama 2 is under Meta's Llama 2 Community License and its acceptable use policy; the " +
			"repositories that publish the other parts, MiniGPT-4 and LAVIS, are under BSD-3-Clause.",
		parameters: EVA_VIT_G + (4 * 1408 + 1) * 4096 + LLAMA_7B,
		contextLength: 4096,
		imageTokens: 64,
		template: LLAMA2_CHAT,
	},
	"vicuna-13b": {
		...FAMILY,
		...VICUNA,
		id: "vicuna-13b",
		parameters: EVA_VIT_G + LN_VISION + QFORMER + (768 + 1) * 5120 + LLAMA_13B,
		contextLength: 2048,
		imageTokens: 32,
		template: VICUNA_CHAT,
	},
} as const satisfies Record<string, Model>;
export type ModelId = keyof typeof MODELS;
export const MODEL_IDS = Object.keys(MODELS) as ModelId[];

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

/** The model of a request that names none. */
export const defaultModel = (models: ServedModels): ServedModel =>
	models.values().next().value as ServedModel;

/** Where a GPU worker listens, and the credentials that it checks. */
export interface WorkerAddress {
	url: string;
	key: string;
	/** A Cloudflare Access service token, if a tunnel asks for one. */
	access: { id: string; secret: string } | null;
}

/** Where Replicate runs a model, and the credentials for it. */
export interface ReplicateAddress {
	/**
	 * The deployment's or version's URL in Replicate's API. It identifies this address among the
	 * model's.
	 */
	url: string;
	replicate: {
		/** The model's id in this API. */
		model: string;
		token: string;
		/** The most predictions that run at once. */
		slots: number;
		/** `owner/name` of a deployment, or `owner/name:version` of a model. */
		run: string;
		/** The base URL of Replicate's API. */
		api: string;
		/** Replicate reports each prediction to `url` and signs the report with `secret`. */
		webhook: { url: string; secret: string } | null;
	};
}

export type Address = WorkerAddress | ReplicateAddress;
