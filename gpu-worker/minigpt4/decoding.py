"""Decodes a caller's image bytes within limits, or says why it cannot."""

from dataclasses import dataclass

from PIL import Image

from .picture import LazyPicture

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")


class Undecodable(Exception):
    """The bytes are not a complete image, or the image is too large or too small."""


@dataclass(frozen=True)
class Limits:
    """Limits on one image: encoded bytes, decoded pixels, pixels of a side, seconds to fetch."""

    max_bytes: int = 20 * 2**20
    max_pixels: int = 40_000_000
    min_side: int = 8
    fetch_seconds: float = 10.0


def decode(data: bytes, limits: Limits) -> Image.Image:
    """Returns what a viewer shows of the bytes: the first picture, upright, on white, in RGB.

    Checks the header against the limits before it decodes pixels. Raises Undecodable.
    """
    if len(data) > limits.max_bytes:
        raise Undecodable(f"the image has more than {limits.max_bytes} bytes")
    try:
        image = LazyPicture(data, FORMATS)
        width, height = image.size
    except Image.DecompressionBombError:
        raise Undecodable(f"the image has more than {limits.max_pixels} pixels") from None
    except Exception:  # Pillow's parsers raise many exception types on hostile bytes
        raise Undecodable(f"the bytes are not an image in {', '.join(FORMATS)}") from None
    if width * height > limits.max_pixels:
        raise Undecodable(f"the image has {width}x{height} pixels, over {limits.max_pixels}")
    if min(width, height) < limits.min_side:
        raise Undecodable(f"the image has {width}x{height} pixels; a side needs {limits.min_side}")
    try:
        return image.read()
    except Exception:
        raise Undecodable("the image is broken or truncated") from None
