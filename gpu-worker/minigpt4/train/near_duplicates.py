"""Finds photos that look the same, by a perceptual hash.

The hash compares a small picture's lowest frequencies (discrete cosine transform) with their
median. Resizing, compression and brightness change few of its 64 bits; cropping changes many.
"""

import numpy as np
from PIL import Image, ImageOps

SIDE, KEPT = 32, 8
AT_ONCE = 4096  # photos compared at once


def _cosines() -> np.ndarray:
    """Rows of the discrete cosine transform, [KEPT + 1, SIDE], the constant one first."""
    frequency, place = np.arange(KEPT + 1)[:, None], np.arange(SIDE)[None]
    return np.cos(np.pi / SIDE * (place + 0.5) * frequency)


COSINES = _cosines()


def perceptual_hash(image: Image.Image) -> int:
    """RGB picture -> 64 bits, as a signed number."""
    grey = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), float)
    waves = (COSINES @ grey @ COSINES.T)[
        1:, 1:
    ]  # without the constant row and column, which tell little
    bits = (waves > np.median(waves)).flatten()
    return int(np.packbits(bits).view(">i8")[0])


def hashes(image: Image.Image) -> tuple[int, int]:
    """The hashes of the picture and of its mirror image."""
    return perceptual_hash(image), perceptual_hash(ImageOps.mirror(image))


def near(found: np.ndarray, kept: np.ndarray, bits: int) -> dict[int, tuple[int, int]]:
    """Finds the rows of `found` that look like a row of `kept`, upright or mirrored.

    found and kept [N, 2] int64 -> row of found: (row of kept, bits that differ), the nearest.
    """
    out: dict[int, tuple[int, int]] = {}
    if not len(kept):
        return out
    both = kept.T.view(np.uint64)  # [2, kept]: a mirrored copy equals one of the two
    for start in range(0, len(found), AT_ONCE):
        part = found[start : start + AT_ONCE, 0].view(np.uint64)
        apart = np.bitwise_count(part[:, None, None] ^ both).min(axis=1)  # [part, kept]
        nearest = apart.argmin(axis=1)
        for row in np.flatnonzero(apart[np.arange(len(part)), nearest] <= bits):
            out[start + int(row)] = (int(nearest[row]), int(apart[row, nearest[row]]))
    return out
