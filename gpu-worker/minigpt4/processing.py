"""Picture -> pixel values, and one placeholder id -> as many ids as an image has tokens."""

from collections.abc import Iterable

import numpy as np
import torch
from PIL import Image

from .config import EfficientNetConfig, EvaConfig, MiniGPT4Config
from .picture import centre_square, fit, to_rgb

__all__ = ["centre_square", "expand_image_tokens", "fit", "normalise", "pixel_values", "to_rgb"]

VisionConfig = EfficientNetConfig | EvaConfig


def normalise(square: Image.Image, vision: VisionConfig) -> torch.Tensor:
    """RGB picture of the encoder's size -> float32 [3, side, side].

    x / 255, minus mean, divided by std, each step rounded to float32: the same bits as
    torchvision's ToTensor and Normalize.
    """
    values = np.asarray(square, dtype=np.float32) / np.float32(255)  # [H, W, 3]
    values = (values - np.float32(vision.mean)) / np.float32(vision.std)
    return torch.from_numpy(values).permute(2, 0, 1).contiguous()


def pixel_values(image: Image.Image, vision: VisionConfig) -> torch.Tensor:
    """A PIL picture of any mode -> float32 [3, image_size, image_size].

    Raises OSError (from PIL) if the picture's data is truncated or broken.
    """
    return normalise(fit(to_rgb(image), vision.image_size, vision.fit), vision)


def expand_image_tokens(ids: Iterable[int], config: MiniGPT4Config) -> list[int]:
    """One placeholder id per image -> `num_image_tokens` of them per image."""
    out: list[int] = []
    for token in ids:
        out.extend([token] * (config.num_image_tokens if token == config.image_token_id else 1))
    return out
