"""Measures a picture's dominant colour and its brightness, which texts can mention."""

import numpy as np
from PIL import Image

COLOURS = ("black", "white", "grey", "brown", "red", "yellow", "green", "blue")


def colour_shares(square: Image.Image) -> np.ndarray:
    """RGB picture -> the share of its pixels with each of the eight COLOURS, [8], sum 1.

    Every pixel gets one colour by its HSV hue (degrees), saturation and value. Dark is black, pale
    is white or grey. The rest depends on the hue: a warm hue of low value is brown; pink counts as
    red, and purple as blue.
    """
    hsv = np.asarray(square.convert("HSV"), dtype=np.float32).reshape(-1, 3)
    hue, sat, val = hsv[:, 0] * (360 / 255), hsv[:, 1] / 255, hsv[:, 2] / 255
    by_hue = np.select(
        [hue < 12, hue < 45, hue < 70, hue < 165, hue < 280],
        [4, np.where(val < 0.75, 3, 5), 5, 6, 7],
        default=4,
    )
    pale = np.where(val > 0.8, 1, 2)
    names = np.where(val < 0.2, 0, np.where(sat < 0.15, pale, by_hue))
    return np.bincount(names, minlength=len(COLOURS)) / len(names)


def dominant_colour(square: Image.Image) -> str:
    """The colour of most pixels."""
    return COLOURS[int(colour_shares(square).argmax())]


def brightness(square: Image.Image) -> float:
    """Mean luma (ITU-R 601) of an RGB picture, 0 to 1."""
    return float(np.asarray(square.convert("L"), dtype=np.float32).mean() / 255)
