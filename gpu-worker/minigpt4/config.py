"""The model's configuration, which a checkpoint folder keeps in config.json."""

from typing import ClassVar

from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    Blip2QFormerConfig,
    Blip2VisionConfig,
    PreTrainedConfig,
)

EFFICIENTNET = "efficientnet-lite2"
EVA = "eva-clip-g"

# CLIP's statistics of the three channels, for values in [0, 1].
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class EfficientNetConfig(PreTrainedConfig):
    """The embedded models' frozen vision encoder, and how pictures are prepared for it.

    `image_size` is the side of the centre square in pixels; `mean` and `std` apply to values
    in [0, 1] and are the same for the three channels, as EfficientNet-Lite was trained.
    """

    model_type = "minigpt4_efficientnet"
    base_config_key = "vision_config"

    tower: str = EFFICIENTNET
    fit: str = "crop"
    image_size: int = 260
    mean: float = 0.498
    std: float = 0.502
    hidden_size: int = 1280
    num_classes: int = 1000


class EvaConfig(Blip2VisionConfig):
    """EVA-CLIP's ViT-g/14 as BLIP-2 uses it: 39 of its 40 blocks, no head.

    The inherited defaults are the released model's. `fit: squash` resizes to the square whatever
    the aspect ratio, as MiniGPT-4 does (`image_size` is its side in pixels). `ln_eps` belongs to
    the norm after the last block, which has PyTorch's default and not the blocks' 1e-6.
    """

    model_type = "minigpt4_eva"

    tower: str = EVA
    fit: str = "squash"
    mean: tuple[float, ...] | list[float] = CLIP_MEAN
    std: tuple[float, ...] | list[float] = CLIP_STD
    ln_eps: float = 1e-5


class BridgeConfig(PreTrainedConfig):
    """The frozen stage between an embedded model's vision encoder and its projection.

    `temperature` divides the logits of the frozen classification head before the softmax. Below 1
    it sharpens the distribution; a flat one gives embeddings too weak for the language model.
    `num_class_tokens` image tokens come from the class distribution, the rest from `raw_size` raw
    features. Without `stages` these are the mean and deviation of each of the stem's channels
    (nano); with `stages` they are principal components of pooled features of the stem, of these
    stages (counted from 0) and of the final map (mini).
    """

    model_type = "minigpt4_bridge"
    base_config_key = "bridge_config"

    temperature: float = 0.5
    raw_size: int = 64
    num_class_tokens: int = 6
    stages: tuple[int, ...] | list[int] = ()


TOWERS = {EFFICIENTNET: EfficientNetConfig, EVA: EvaConfig}


class MiniGPT4Config(PreTrainedConfig):
    """A vision encoder, a bridge, one linear projection, and a language model.

    Each image takes `num_image_tokens` positions, marked in the ids by `image_token_id`.
    `vision_config.tower` names the encoder. The embedded models have a `bridge_config`. The others
    either have a `qformer_config` and one image token per query, or join four neighbouring patches
    into each token. `text_config` is any causal language model's.
    """

    model_type = "minigpt4"
    sub_configs: ClassVar = {
        "vision_config": PreTrainedConfig,
        "bridge_config": BridgeConfig,
        "qformer_config": Blip2QFormerConfig,
        "text_config": AutoConfig,
    }

    vision_config: dict | PreTrainedConfig | None = None
    bridge_config: dict | BridgeConfig | None = None
    qformer_config: dict | Blip2QFormerConfig | None = None
    text_config: dict | PreTrainedConfig | None = None
    num_image_tokens: int = 8
    image_token_id: int = 16
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs):
        vision = self.vision_config
        if vision is None or isinstance(vision, dict):
            vision = vision or {}
            self.vision_config = TOWERS[vision.get("tower", EFFICIENTNET)](**vision)
        if self.bridge_config is None and self.vision_config.tower == EFFICIENTNET:
            self.bridge_config = {}
        for name in ("bridge_config", "qformer_config"):
            part = getattr(self, name)
            if isinstance(part, dict):
                setattr(self, name, self.sub_configs[name](**part))
        if self.text_config is None or isinstance(self.text_config, dict):
            text = self.text_config or {}
            self.text_config = CONFIG_MAPPING[text.get("model_type", "llama")](**text)
        if not self.text_config.architectures:
            self.text_config.architectures = ["LlamaForCausalLM"]
        super().__post_init__(**kwargs)

    def get_text_config(self, *_, **__) -> PreTrainedConfig:
        """The language model's configuration, by which an engine plans its memory."""
        return self.text_config


AutoConfig.register("minigpt4", MiniGPT4Config, exist_ok=True)
