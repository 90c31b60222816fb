"""Between vision and projection: a frozen class distribution, and pooled raw features.

It plays the part that the Q-Former plays in the full model: it turns a feature map into a few
numbers that one linear map can take to the language model.
"""

import torch
from torch import nn

from .config import MiniGPT4Config


def pool_stem(stem: torch.Tensor) -> torch.Tensor:
    """[N, 32, h, w] -> [N, 64]: mean and deviation of each channel."""
    return torch.cat([stem.mean(dim=(2, 3)), stem.std(dim=(2, 3))], dim=-1)


class ClassBridge(nn.Module):
    """The encoder's own classification head, sharpened, beside its stem's statistics.

    The classes say what is in the picture; the stem's channels are colours and edges, so their
    mean and deviation carry colour and light, which no class name tells.
    """

    def __init__(self, config: MiniGPT4Config):
        super().__init__()
        vision = config.vision_config
        self.temperature = config.bridge_config.temperature
        self.head = nn.Linear(vision.hidden_size, vision.num_classes)

    def forward(
        self, stem: torch.Tensor, features: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """stem [N, 32, h, w], features [N, 1280, h', w'] -> classes [N, 1000], raw [N, 64].

        `classes` sums to 1 in each row; `raw` is not standardised: the projection's weights hold
        the scale.
        """
        logits = self.head(features.mean(dim=(2, 3)))
        classes = torch.softmax(logits / self.temperature, dim=-1)
        return classes, pool_stem(stem)
