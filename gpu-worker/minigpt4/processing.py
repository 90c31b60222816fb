"""A picture becomes pixel values, and one placeholder id becomes as many as an image has tokens."""

from collections.abc import Iterable

import numpy as np
import torch
from PIL import Image, ImageOps

from .config import EfficientNetConfig, EvaConfig, MiniGPT4Config

VisionConfig = EfficientNetConfig | EvaConfig


def to_rgb(image: Image.Image) -> Image.Image:
    """First frame, upright, transparency laid on white, in RGB, as a viewer shows it.

    The original demo reads a file with `convert("RGB")` alone. That ignores the EXIF orientation,
    drops alpha (what lies below a transparent pixel shows, often black) and clips 16-bit greys at
    255 (almost every pixel becomes white). Here the picture is turned and laid on white, and of a
    16-bit grey the high byte counts, as Pillow itself reads the other 16-bit PNGs. A colour profile
    is ignored, as in the original. Modes "I" and "F" declare no range: Pillow clips them to 0..255.
    """
    image.seek(0) if getattr(image, "is_animated", False) else image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        values = np.asarray(image)  # [H, W], 0..65535; how bright the picture is decides nothing
        grey = (values >> 8).astype(np.uint8)
        grey[values == image.info.get("transparency")] = 255
        image = Image.fromarray(grey)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def centre_square(image: Image.Image, side: int) -> Image.Image:
    """The largest centred square of the picture, resized to side x side (bicubic).

    At the cut the filter reads the pixels beyond it; cropped first, it would not see them.
    """
    width, height = image.size
    edge = min(width, height)
    left, top = (width - edge) // 2, (height - edge) // 2
    box = (left, top, left + edge, top + edge)
    return image.resize((side, side), Image.Resampling.BICUBIC, box=box)


def fit(image: Image.Image, side: int, how: str) -> Image.Image:
    """RGB picture -> side x side, PIL's bicubic: the centre (`crop`) or all of it (`squash`).

    nano crops, as EfficientNet was trained; the family squashes whatever the aspect, as MiniGPT-4
    does when it trains and answers.
    """
    if how == "crop":
        return centre_square(image, side)
    return image.resize((side, side), Image.Resampling.BICUBIC)


def normalise(square: Image.Image, vision: VisionConfig) -> torch.Tensor:
    """RGB picture of the encoder's size -> float32 [3, side, side].

    x / 255, minus mean, divided by std, each rounded to float32 on its own: the bits that
    torchvision's ToTensor and Normalize give.
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
