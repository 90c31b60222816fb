"""The embedded models' bridge: a frozen class distribution, and pooled raw features.

Like the Q-Former in the full model, it reduces feature maps to a few numbers that one linear map
can project into the language model.
"""

from collections.abc import Sequence

import torch
from torch import nn

from .config import MiniGPT4Config
from .efficientnet import HEAD_CHANNELS, STAGES, STEM_CHANNELS


def pool_stem(stem: torch.Tensor) -> torch.Tensor:
    """[N, 32, h, w] -> [N, 64]: mean and deviation of each channel."""
    return torch.cat([stem.mean(dim=(2, 3)), stem.std(dim=(2, 3))], dim=-1)


def pool(maps: Sequence[torch.Tensor], stages: Sequence[int]) -> torch.Tensor:
    """The encoder's nine maps -> [N, F], pooled over positions, by channel.

    The final map gives mean and maximum; each of `stages` mean, deviation and maximum; the stem
    mean and deviation. Middle stages keep textures and scenes that the last stage, trained for
    1,000 classes of objects, drops.
    """
    stem, *inner, features = maps
    pooled = [features.mean(dim=(2, 3)), features.amax(dim=(2, 3))]
    for stage in stages:
        x = inner[stage]
        pooled += [x.mean(dim=(2, 3)), x.std(dim=(2, 3)), x.amax(dim=(2, 3))]
    return torch.cat([*pooled, pool_stem(stem)], dim=-1)


def pooled_size(stages: Sequence[int]) -> int:
    """F of `pool`."""
    return 2 * HEAD_CHANNELS + 2 * STEM_CHANNELS + sum(3 * STAGES[stage][3] for stage in stages)


class ClassBridge(nn.Module):
    """The encoder's own classification head, sharpened, and raw features.

    The classes say what is in the picture. The stem's channels are colours and edges, so their
    mean and deviation carry colour and light, which class names do not. With `stages` the raw
    features are principal components of features pooled at several depths: a frozen affine map,
    fitted once to the training photos without gradients.
    """

    def __init__(self, config: MiniGPT4Config):
        super().__init__()
        vision, bridge = config.vision_config, config.bridge_config
        self.temperature = bridge.temperature
        self.stages = tuple(bridge.stages)
        self.head = nn.Linear(vision.hidden_size, vision.num_classes)
        if self.stages:
            self.components = nn.Linear(pooled_size(self.stages), bridge.raw_size)

    def forward(self, *maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The encoder's nine maps -> classes [N, 1000], raw [N, raw_size].

        `classes` sums to 1 in each row. nano's raw features are not standardised: its projection's
        weights hold the scale.
        """
        logits = self.head(maps[-1].mean(dim=(2, 3)))
        classes = torch.softmax(logits / self.temperature, dim=-1)
        if self.stages:
            return classes, self.components(pool(maps, self.stages))
        return classes, pool_stem(maps[0])
