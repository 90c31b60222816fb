"""Copies of held-out photos are found however they were re-encoded, and other photos are not."""

import io

import numpy as np
import pytest
from photo_shards import encoded, picture
from PIL import Image, ImageEnhance, ImageOps

from minigpt4.train.near_duplicates import hashes, near

BITS = 8  # the default of duplicate_bits
COPIES = {
    "as it is": lambda image: image,
    "smaller": lambda image: image.resize((97, 83), Image.Resampling.BICUBIC),
    "larger": lambda image: image.resize((400, 320), Image.Resampling.LANCZOS),
    "JPEG of low quality": lambda i: Image.open(io.BytesIO(encoded(i, "JPEG", quality=20))),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "mirrored": ImageOps.mirror,
}


def table(images) -> np.ndarray:
    return np.array([hashes(image) for image in images], dtype=np.int64)


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_found(copy):
    images = [picture(n, 160) for n in range(40)]
    found = near(table([COPIES[copy](image) for image in images]), table(images), BITS)
    assert {row: kept for row, (kept, _) in found.items()} == {n: n for n in range(40)}


def test_other_photos_are_not():
    kept, others = ([picture(n, 96) for n in numbers] for numbers in (range(60), range(60, 200)))
    assert not near(table(others), table(kept), BITS)


def test_without_held_out_photos_there_are_no_near_duplicates():
    assert near(table([picture(1)]), np.empty((0, 2), dtype=np.int64), BITS) == {}
