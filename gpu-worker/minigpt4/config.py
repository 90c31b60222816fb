"""The model's configuration: one JSON file says what a checkpoint folder holds."""

from typing import ClassVar

from transformers import LlamaConfig, PreTrainedConfig


class MiniGPT4VisionConfig(PreTrainedConfig):
    """The frozen vision encoder and how a picture is made ready for it.

    `image_size` is the side of the centre square in pixels; `mean` and `std` apply to values
    in [0, 1] and are the same for the three channels, as EfficientNet-Lite was trained.
    """

    model_type = "minigpt4_vision"
    base_config_key = "vision_config"

    tower: str = "efficientnet-lite2"
    image_size: int = 260
    mean: float = 0.498
    std: float = 0.502
    hidden_size: int = 1280
    num_classes: int = 1000


class MiniGPT4BridgeConfig(PreTrainedConfig):
    """What stands between vision and projection.

    `temperature` divides the logits of the frozen classification head before the softmax: below 1
    it sharpens, without which a spread distribution gives embeddings too faint to be read.
    `raw_size` counts the pooled raw features: mean and deviation of each of the stem's channels.
    """

    model_type = "minigpt4_bridge"
    base_config_key = "bridge_config"

    temperature: float = 0.5
    raw_size: int = 64


class MiniGPT4Config(PreTrainedConfig):
    """A vision encoder, a bridge, one linear projection to image tokens, and a language model.

    Each image takes `num_image_tokens` positions, marked in the ids by `image_token_id`:
    `num_class_tokens` come from the class distribution, the rest from pooled raw features.
    """

    model_type = "minigpt4"
    sub_configs: ClassVar = {
        "vision_config": MiniGPT4VisionConfig,
        "bridge_config": MiniGPT4BridgeConfig,
        "text_config": LlamaConfig,
    }

    vision_config: dict | MiniGPT4VisionConfig | None = None
    bridge_config: dict | MiniGPT4BridgeConfig | None = None
    text_config: dict | LlamaConfig | None = None
    num_image_tokens: int = 8
    num_class_tokens: int = 6
    image_token_id: int = 16
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs):
        for name, kind in self.sub_configs.items():
            part = getattr(self, name)
            if part is None or isinstance(part, dict):
                setattr(self, name, kind(**(part or {})))
        if not self.text_config.architectures:
            self.text_config.architectures = ["LlamaForCausalLM"]
        super().__post_init__(**kwargs)

    def get_text_config(self, *_, **__) -> LlamaConfig:
        """The language model's own configuration, which is what an engine plans memory by."""
        return self.text_config
