"""Computes the frozen features of the training photos once.

Only the projection is trained, so the encoder need not run at every step.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance, ImageOps

from ...bridge import pool_stem
from ...config import MiniGPT4Config
from ...image_encoder import ImageEncoder
from ...processing import centre_square, normalise
from .measure import COLOURS, brightness, dominant_colour
from .photos import Photo

VIEWS = 4  # random crops per photo for the class distribution, beside the centre square
VIEW_SEED = 1  # of crops and shades; separate from the run's seed, so that runs share their views
SHADES = 10  # colour-jittered crops per photo for the raw features, which need only the stem


@dataclass
class Features:
    """Class distributions and raw features of many views, each with its true labels."""

    classes: torch.Tensor  # [V, 1000], rows sum to 1
    label: torch.Tensor  # [V], class index of the photo
    raw: torch.Tensor  # [S, 64]
    colour: torch.Tensor  # [S], index into COLOURS
    light: torch.Tensor  # [S], mean luma 0..1


def random_square(image: Image.Image, side: int, draw: random.Random) -> Image.Image:
    """A random square of 45 to 100 % of the shorter side, mirrored half of the time."""
    edge = round(min(image.size) * draw.uniform(0.45, 1.0))
    left, top = (draw.randint(0, length - edge) for length in image.size)
    box = (left, top, left + edge, top + edge)
    square = image.resize((side, side), Image.Resampling.BICUBIC, box=box)
    return ImageOps.mirror(square) if draw.random() < 0.5 else square


def random_shade(square: Image.Image, draw: random.Random) -> Image.Image:
    """Changes hue, saturation and brightness, so that rare colours occur too."""
    if draw.random() < 0.5:
        hue, saturation, value = square.convert("HSV").split()
        turn = draw.randrange(256)
        hue = hue.point([(v + turn) % 256 for v in range(256)])
        square = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
    square = ImageEnhance.Color(square).enhance(draw.uniform(0.3, 2.0))
    return ImageEnhance.Brightness(square).enhance(draw.uniform(0.5, 1.6))


@torch.inference_mode()
def compute_features(
    photos: list[tuple[int, Photo]],
    encoder: ImageEncoder,
    config: MiniGPT4Config,
    progress: Callable[[str], None],
) -> Features:
    """The features of (class index, photo) pairs. Deterministic."""
    side, vision = config.vision_config.image_size, config.vision_config
    rows: dict[str, list[torch.Tensor]] = {"classes": [], "raw": []}
    label: list[int] = []
    colour: list[int] = []
    light: list[float] = []
    for n, (index, photo) in enumerate(photos):
        draw = random.Random(f"{VIEW_SEED} {photo.synset}")
        image = photo.open()
        squares = [centre_square(image, side)]
        squares += [random_square(image, side, draw) for _ in range(VIEWS)]
        shades = [random_shade(random_square(image, side, draw), draw) for _ in range(SHADES)]
        classes, raw = encoder.features(torch.stack([normalise(s, vision) for s in squares]))
        rows["classes"].append(classes)
        label += [index] * len(squares)
        stem = F.relu6(encoder.vision.stem(torch.stack([normalise(s, vision) for s in shades])))
        rows["raw"] += [raw, pool_stem(stem)]
        for square in squares + shades:
            colour.append(COLOURS.index(dominant_colour(square)))
            light.append(brightness(square))
        if n % 100 == 99:
            progress(f"features of {n + 1} of {len(photos)} photos")
    return Features(
        classes=torch.cat(rows["classes"]),
        label=torch.tensor(label),
        raw=torch.cat(rows["raw"]),
        colour=torch.tensor(colour),
        light=torch.tensor(light),
    )
