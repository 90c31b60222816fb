"""The model class and the multimodal processor that vLLM runs (measured on vLLM 0.32.0)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import torch
from PIL import Image
from torch import nn
from transformers import BatchFeature
from vllm.config import VllmConfig
from vllm.config.multimodal import MultiModalDummyOptions
from vllm.inputs import MultiModalDataDict
from vllm.model_executor.models.interfaces import (
    MultiModalEmbeddings,
    SupportsMultiModal,
    SupportsPP,
    SupportsQuant,
)
from vllm.model_executor.models.module_mapping import MultiModelKeys
from vllm.model_executor.models.utils import (
    AutoWeightsLoader,
    WeightsMapper,
    init_vllm_registered_model,
    maybe_prefix,
)
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.inputs import MultiModalFieldConfig, MultiModalKwargsItems
from vllm.multimodal.parse import MultiModalDataItems
from vllm.multimodal.processing import (
    BaseDummyInputsBuilder,
    BaseMultiModalProcessor,
    BaseProcessingInfo,
    PromptReplacement,
    PromptUpdate,
)
from vllm.platforms import current_platform
from vllm.sequence import IntermediateTensors

from .config import MiniGPT4Config
from .image_encoder import ImageEncoder
from .processing import pixel_values


class ProcessingInfo(BaseProcessingInfo):
    def get_hf_config(self) -> MiniGPT4Config:
        return self.ctx.get_hf_config(MiniGPT4Config)

    def get_supported_mm_limits(self) -> Mapping[str, int | None]:
        return {"image": None}

    def get_supported_mm_processor_kwargs(self) -> dict[str, set[str]]:
        return {}  # there is no transformers processor


class DummyInputs(BaseDummyInputsBuilder[ProcessingInfo]):
    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        placeholder = self.info.get_tokenizer().convert_ids_to_tokens(
            self.info.get_hf_config().image_token_id
        )
        return placeholder * mm_counts.get("image", 0)

    def get_dummy_mm_data(
        self,
        seq_len: int,
        mm_counts: Mapping[str, int],
        mm_options: Mapping[str, MultiModalDummyOptions],
    ) -> MultiModalDataDict:
        side = self.info.get_hf_config().vision_config.image_size
        return {"image": [Image.new("RGB", (side, side))] * mm_counts.get("image", 0)}


class Processor(BaseMultiModalProcessor[ProcessingInfo]):
    """PIL pictures -> pixel values; one placeholder id -> as many ids as an image has tokens."""

    def _call_hf_processor(
        self, hf_data: Mapping[str, object], hf_kwargs: Mapping[str, object]
    ) -> BatchFeature:
        config = self.info.get_hf_config().vision_config
        # Computed here, the values stay float32 whatever the language model's dtype is.
        pictures = [pixel_values(image, config) for image in hf_data["images"]]
        return BatchFeature({"pixel_values": torch.stack(pictures)})  # [N, 3, side, side]

    def _get_mm_fields_config(
        self, hf_inputs: BatchFeature, hf_processor_mm_kwargs: Mapping[str, object]
    ) -> Mapping[str, MultiModalFieldConfig]:
        return {"pixel_values": MultiModalFieldConfig.batched("image")}

    def _get_prompt_updates(
        self,
        mm_items: MultiModalDataItems,
        hf_processor_mm_kwargs: Mapping[str, object],
        out_mm_kwargs: MultiModalKwargsItems,
    ) -> Sequence[PromptUpdate]:
        config = self.info.get_hf_config()
        return [
            PromptReplacement(
                modality="image",
                target=[config.image_token_id],
                replacement=[config.image_token_id] * config.num_image_tokens,
            )
        ]


@MULTIMODAL_REGISTRY.register_processor(Processor, info=ProcessingInfo, dummy_inputs=DummyInputs)
class MiniGPT4ForVLLM(nn.Module, SupportsMultiModal, SupportsPP, SupportsQuant):
    """The reference's `image_encoder` and vLLM's `language_model`.

    Only the language model is split over GPUs or quantised. Each GPU has the whole encoder, in its
    own precision. A quantised model's settings name its layers as its original checkpoint did.
    """

    hf_to_vllm_mapper = WeightsMapper(
        orig_to_new_prefix={"model.": "language_model.model.", "lm_head": "language_model.lm_head"}
    )
    packed_modules_mapping: ClassVar = {
        "qkv_proj": ["q_proj", "k_proj", "v_proj"],
        "gate_up_proj": ["gate_proj", "up_proj"],
    }

    @classmethod
    def get_placeholder_str(cls, modality: str, i: int) -> str | None:
        return None  # prompts are token ids, see prompt.py

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = ""):
        super().__init__()
        config: MiniGPT4Config = vllm_config.model_config.hf_config
        self.config = config
        with self._mark_tower_model(vllm_config, "image"):
            self.image_encoder = ImageEncoder(config)
            if not current_platform.is_cpu():
                self.image_encoder.half_on_gpu()
        self.images_encoded = 0
        with self._mark_language_model(vllm_config):
            self.language_model = init_vllm_registered_model(
                vllm_config=vllm_config,
                hf_config=config.get_text_config(),
                prefix=maybe_prefix(prefix, "language_model"),
            )
        self.make_empty_intermediate_tensors = self.language_model.make_empty_intermediate_tensors

    def embed_multimodal(self, **kwargs: object) -> MultiModalEmbeddings:
        """pixel_values [N, 3, side, side] -> N image embeddings [K, hidden]."""
        pixels = kwargs.get("pixel_values")
        if pixels is None:
            return []
        if isinstance(pixels, list):
            pixels = torch.stack(pixels)
        self.images_encoded += len(pixels)
        tokens = self.image_encoder(pixels)  # [N, K, hidden], float32, in bounded chunks
        return tuple(tokens.to(self.language_model.model.embed_tokens.weight.dtype))

    def forward(
        self,
        input_ids: torch.Tensor | None,
        positions: torch.Tensor,
        intermediate_tensors: IntermediateTensors | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: object,
    ) -> torch.Tensor | IntermediateTensors:
        if intermediate_tensors is not None:
            inputs_embeds = None
        return self.language_model.model(
            input_ids, positions, intermediate_tensors, inputs_embeds=inputs_embeds
        )

    def compute_logits(self, hidden_states: torch.Tensor) -> torch.Tensor | None:
        return self.language_model.compute_logits(hidden_states)

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        return AutoWeightsLoader(self).load_weights(weights)

    def get_mm_mapping(self) -> MultiModelKeys:
        return MultiModelKeys.from_string_field(
            language_model="language_model",
            connector=["image_encoder.bridge", "image_encoder.projection"],
            tower_model="image_encoder.vision",
        )


class EncoderRuns:
    """A mixin for vLLM's worker class, whose methods the engine calls by name."""

    def images_encoded(self) -> int:
        """Images that went through the encoder since the start: cached ones do not."""
        return self.get_model().images_encoded
