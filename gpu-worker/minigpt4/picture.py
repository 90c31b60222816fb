"""The picture that a viewer shows of an image file, and its cut to an encoder's square.

Nothing here needs torch: what only decodes starts quickly and stays small.
"""

import io

import numpy as np
from PIL import Image, ImageOps
from PIL.GifImagePlugin import GifImageFile

from .png import SIGNATURE, first_picture, with_sound_stream

ORIENTATION = 0x0112
STRIP = 256  # rows that are looked at together, so that no mask of all pixels is needed


class Unread:
    """An image file of which only the head was read: `size`, then `read()` for the picture.

    Raises whatever Pillow's parsers raise on hostile bytes, which are many kinds.
    """

    def __init__(self, data: bytes, formats: tuple[str, ...]):
        if data[8:12] == b"WEBP":
            data = _with_alpha(data)
        self._png = first_picture(data) if data.startswith(SIGNATURE) else None
        self._image = _opened(self._png.data if self._png else data, formats)
        self.size: tuple[int, int] = self._png.size if self._png else self._image.size

    def read(self) -> Image.Image:
        """The first picture, as `to_rgb` has it."""
        image, png = self._image, self._png
        if png is None:
            return to_rgb(image)
        try:
            image.load()
        except (OSError, SyntaxError):
            # Viewers look at no sum after the last pixel.
            image = _opened(with_sound_stream(png.data))
            image.load()
        exif = image.info.get("exif")
        picture = _on_white(image)
        if png.key is not None:
            _whiten(picture, _opened_low(png.data), png.key)
        picture = _placed(picture, png.at, png.size)
        if exif:
            picture.info["exif"] = exif
        return _upright(picture)


def to_rgb(image: Image.Image) -> Image.Image:
    """First frame, upright, transparency laid on white, in RGB, as a viewer shows it.

    The original demo reads a file with `convert("RGB")` alone. That ignores the EXIF orientation,
    drops alpha (what lies below a transparent pixel shows, often black) and clips 16-bit greys at
    255 (almost every pixel becomes white). Here the picture is turned and laid on white, and of a
    16-bit grey the high byte counts, as Pillow itself reads the other 16-bit PNGs. A colour profile
    is ignored, as in the original. Modes "I" and "F" declare no range: Pillow clips them to 0..255.
    """
    image.seek(0) if image.tell() else image.load()
    if isinstance(image, GifImageFile) and image.dispose_extent not in (None, (0, 0, *image.size)):
        # Pillow fills what the first frame leaves uncovered with a colour; viewers leave it clear.
        box = image.dispose_extent
        return _placed(_on_white(image.crop(box)), box[:2], image.size)
    return _on_white(_upright(image))


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


def _opened(data: bytes, formats: tuple[str, ...] = ("PNG",)) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=formats)


def _opened_low(data: bytes) -> Image.Image:
    """A picture of 16-bit samples, of the bytes that its 8 bits leave out."""
    image = _opened(data)
    ((decoder, extents, offset, _),) = image.tile
    image.tile = [(decoder, extents, offset, "RGB;16L")]
    return image


def _with_alpha(webp: bytes) -> bytes:
    """An animation, said to be transparent: else Pillow shows black where a first frame is not."""
    if webp[12:16] != b"VP8X" or not webp[20] & 2:
        return webp
    return webp[:20] + bytes([webp[20] | 0x10]) + webp[21:]


def _upright(image: Image.Image) -> Image.Image:
    """The image itself where nothing is to turn: a copy of a large one is not free."""
    if image.getexif().get(ORIENTATION, 1) == 1:
        return image
    return ImageOps.exif_transpose(image)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        values = np.asarray(image)  # [H, W], 0..65535; how bright the picture is decides nothing
        grey = (values >> 8).astype(np.uint8)
        grey[values == image.info.get("transparency")] = 255
        image = Image.fromarray(grey)
    if image.has_transparency_data:
        clear = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.new("RGB", clear.size, "white")
        image.paste(clear, mask=clear)
    return image if image.mode == "RGB" else image.convert("RGB")


def _placed(picture: Image.Image, at: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    """On a white canvas, unless it covers that anyway."""
    if picture.size == size:
        return picture
    canvas = Image.new("RGB", size, "white")
    canvas.paste(picture, at)
    return canvas


def _whiten(picture: Image.Image, low: Image.Image, key: tuple[int, int, int]) -> None:
    """Where high bytes (`picture`) and low bytes are the transparent colour, it becomes white."""
    width, height = picture.size
    for top in range(0, height, STRIP):
        box = (0, top, width, min(top + STRIP, height))
        strip = np.array(picture.crop(box), np.uint8)  # [h, W, 3]
        values = strip.astype(np.uint16) << 8 | np.asarray(low.crop(box))
        strip[(values == key).all(axis=-1)] = 255
        picture.paste(Image.fromarray(strip), box)
