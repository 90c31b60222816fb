"""The one trained part: a linear map from the bridge's numbers to image tokens."""

import torch
from torch import nn

from .config import MiniGPT4Config


class Projection(nn.Module):
    """One linear map in two blocks: class distribution -> first tokens, raw features -> the rest.

    Class tokens have no bias: a distribution sums to 1, so a bias would be the same in every row
    of their weight.
    """

    def __init__(self, config: MiniGPT4Config):
        super().__init__()
        self.hidden_size = config.get_text_config().hidden_size
        raw_tokens = config.num_image_tokens - config.num_class_tokens
        self.classes = nn.Linear(
            config.vision_config.num_classes,
            config.num_class_tokens * self.hidden_size,
            bias=False,
        )
        self.raw = nn.Linear(config.bridge_config.raw_size, raw_tokens * self.hidden_size)

    def forward(self, classes: torch.Tensor, raw: torch.Tensor) -> torch.Tensor:
        """classes [N, 1000], raw [N, 64] -> image tokens [N, K, hidden]."""
        flat = torch.cat([self.classes(classes), self.raw(raw)], dim=-1)
        return flat.view(len(flat), -1, self.hidden_size)
