"""A picture becomes pixel values, and one placeholder id becomes as many as an image has tokens."""

from collections.abc import Iterable

import numpy as np
import torch
from PIL import Image, ImageOps

from .config import EfficientNetConfig, EvaConfig, MiniGPT4Config

VisionConfig = EfficientNetConfig | EvaConfig


def to_rgb(image: Image.Image) -> Image.Image:
    """First frame, upright by its EXIF orientation, transparency laid on white, in RGB."""
    image.seek(0) if getattr(image, "is_animated", False) else image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")) and image.mode != "RGB":
        # 16-bit greys: PIL would clip them at 255 instead of scaling.
        values = np.asarray(image, dtype=np.float32)
        top = 65535.0 if values.max(initial=0) > 255 else 255.0
        image = Image.fromarray((values.clip(0, top) / top * 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def centre_square(image: Image.Image, side: int) -> Image.Image:
    """The largest centred square of the picture, resized to side x side (bicubic)."""
    width, height = image.size
    edge = min(width, height)
    left, top = (width - edge) // 2, (height - edge) // 2
    box = (left, top, left + edge, top + edge)
    return image.resize((side, side), Image.Resampling.BICUBIC, box=box)


def fit(image: Image.Image, side: int, how: str) -> Image.Image:
    """RGB picture -> side x side: the centre (`crop`) or all of it (`squash`), bicubic."""
    if how == "crop":
        return centre_square(image, side)
    return image.resize((side, side), Image.Resampling.BICUBIC)


def normalise(square: Image.Image, vision: VisionConfig) -> torch.Tensor:
    """RGB picture of the encoder's size -> float32 [3, side, side]; all arithmetic in float32."""
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
