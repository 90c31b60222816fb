"""Pixels -> image tokens, by vision encoder, bridge and projection; the same for all models."""

import torch
from torch import nn

from .bridge import ClassBridge
from .config import EVA, MiniGPT4Config
from .efficientnet import EfficientNetLite2
from .projection import ClassProjection, Projection
from .qformer import JoinedPatches, QFormer
from .vision import EvaVisionEncoder

IMAGES_AT_ONCE = 4  # bounds the encoder's memory, whatever the engine's batch size


class ImageEncoder(nn.Module):
    """The stages in front of the language model; the reference and the engine share this module.

    On a CPU everything runs in float32. On a GPU the family runs as the original does: float16
    convolutions and linear layers under autocast, norms and the residual stream in float32.
    """

    def __init__(self, config: MiniGPT4Config):
        super().__init__()
        self.exact = (
            config.vision_config.tower != EVA
        )  # the embedded models run in float32 everywhere
        if self.exact:
            self.vision = EfficientNetLite2()
            self.bridge = ClassBridge(config)
            self.projection = ClassProjection(config)
        else:
            self.vision = EvaVisionEncoder(config.vision_config)
            self.bridge = QFormer(config) if config.qformer_config else JoinedPatches()
            self.projection = Projection(config)
        self.float()  # an engine may build modules under another default dtype

    def half_on_gpu(self) -> None:
        """Keeps the vision encoder's matrices in float16, as their files do, in half the memory.

        Only for a model that stays on a GPU, where autocast rounds them to float16 anyway.
        """
        if not self.exact:
            for module in self.vision.modules():
                if isinstance(module, nn.Linear | nn.Conv2d):
                    module.half()

    def _precision(self, device: str) -> torch.autocast:
        if device == "cpu" or self.exact:
            return torch.autocast(device, enabled=False)
        return torch.autocast(device, torch.float16)

    def _features(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return _tuple(self.bridge(*_tuple(self.vision(pixel_values))))

    def features(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """pixel_values [N, 3, side, side] -> the projection's inputs, by the frozen stages alone.

        The embedded models: classes [N, 1000], raw [N, R]. With a Q-Former: [N, 32, 768];
        without: [N, 64, 5632].
        Encodes chunks of at most IMAGES_AT_ONCE images. N must be at least 1.
        """
        with self._precision(pixel_values.device.type):
            chunks = [self._features(part) for part in pixel_values.float().split(IMAGES_AT_ONCE)]
        return tuple(torch.cat(parts) for parts in zip(*chunks, strict=True))

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """pixel_values [N, 3, side, side] -> image tokens [N, K, hidden], float32."""
        features = self.features(pixel_values)
        with self._precision(pixel_values.device.type):
            return self.projection(*features).float()


def _tuple(value: torch.Tensor | tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return value if isinstance(value, tuple) else (value,)
