"""Bytes of a caller -> a decoded picture, or a refusal in words; within bounds."""

from dataclasses import dataclass

from PIL import Image

from .picture import Unread

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")


class Undecodable(Exception):
    """The bytes are no complete image, or too large or too small."""


@dataclass(frozen=True)
class Limits:
    """Bounds on one image: encoded bytes, decoded pixels, pixels of a side, seconds to fetch."""

    max_bytes: int = 20 * 2**20
    max_pixels: int = 40_000_000
    min_side: int = 8
    fetch_seconds: float = 10.0


def decode(data: bytes, limits: Limits) -> Image.Image:
    """Bytes -> what a viewer shows of them: the first picture, upright, on white, in RGB.

    Raises Undecodable. The header is checked against the limits before pixels are made.
    """
    if len(data) > limits.max_bytes:
        raise Undecodable(f"the image has more than {limits.max_bytes} bytes")
    try:
        image = Unread(data, FORMATS)
        width, height = image.size
    except Image.DecompressionBombError:
        raise Undecodable(f"the image has more than {limits.max_pixels} pixels") from None
    except Exception:  # Pillow's parsers raise many kinds on hostile bytes
        raise Undecodable(f"the bytes are no image in {', '.join(FORMATS)}") from None
    if width * height > limits.max_pixels:
        raise Undecodable(f"the image has {width}x{height} pixels, over {limits.max_pixels}")
    if min(width, height) < limits.min_side:
        raise Undecodable(f"the image has {width}x{height} pixels; a side needs {limits.min_side}")
    try:
        return image.read()
    except Exception:
        raise Undecodable("the image is broken or truncated") from None
