"""The only trained part: a linear map from the encoder's features to image tokens."""

import torch
from torch import nn

from .config import MiniGPT4Config
from .qformer import PATCHES_JOINED


class Projection(nn.Linear):
    """The family's projection: each state of the bridge becomes one image token (`llama_proj`)."""

    def __init__(self, config: MiniGPT4Config):
        if config.qformer_config is not None:
            width = config.qformer_config.hidden_size
        else:
            width = PATCHES_JOINED * config.vision_config.hidden_size
        super().__init__(width, config.get_text_config().hidden_size)


class ClassProjection(nn.Module):
    """The embedded models' projection: classes -> first tokens, raw features -> the rest.

    Class tokens have no bias. A distribution sums to 1, so adding a bias is the same as adding it
    to every row of the weight.
    """

    def __init__(self, config: MiniGPT4Config):
        super().__init__()
        self.hidden_size = config.get_text_config().hidden_size
        bridge = config.bridge_config
        raw_tokens = config.num_image_tokens - bridge.num_class_tokens
        self.classes = nn.Linear(
            config.vision_config.num_classes,
            bridge.num_class_tokens * self.hidden_size,
            bias=False,
        )
        self.raw = nn.Linear(bridge.raw_size, raw_tokens * self.hidden_size)

    def forward(self, classes: torch.Tensor, raw: torch.Tensor) -> torch.Tensor:
        """classes [N, 1000], raw [N, raw_size] -> image tokens [N, K, hidden]."""
        flat = torch.cat([self.classes(classes), self.raw(raw)], dim=-1)
        return flat.view(len(flat), -1, self.hidden_size)
