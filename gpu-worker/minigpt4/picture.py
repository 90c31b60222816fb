"""Decodes an image file to the picture that a viewer shows, and fits it to an encoder's square.

This module does not import torch, so that a process that only decodes starts quickly and stays
small. It imports numpy inside functions: numpy starts threads, and a server must block signals
before any thread starts.
"""

import io

from PIL import Image, ImageOps
from PIL.GifImagePlugin import GifImageFile

from .png import SIGNATURE, first_picture, with_sound_stream

ORIENTATION = 0x0112
STRIP = 256  # rows processed at once, so that no mask of the whole picture is needed


class LazyPicture:
    """An image file whose header is read: `size`; `read()` decodes the picture.

    Raises whatever Pillow's parsers raise on hostile bytes, which are many exception types.
    """

    def __init__(self, data: bytes, formats: tuple[str, ...]):
        if data[8:12] == b"WEBP":
            data = _with_alpha(data)
        self._png = first_picture(data) if data.startswith(SIGNATURE) else None
        self._image = _open(self._png.data if self._png else data, formats)
        self.size: tuple[int, int] = self._png.size if self._png else self._image.size

    def read(self) -> Image.Image:
        """Returns the first picture, as `to_rgb` does."""
        image, png = self._image, self._png
        if png is None:
            return to_rgb(image)
        try:
            image.load()
        except (OSError, SyntaxError):
            # Viewers ignore a wrong checksum after the last pixel.
            image = _open(with_sound_stream(png.data))
            image.load()
        exif = image.info.get("exif")
        picture = _on_white(image)
        if png.key is not None:
            _whiten(picture, _open_low_bytes(png.data), png.key)
        picture = _on_canvas(picture, png.at, png.size)
        if exif:
            picture.info["exif"] = exif
        return _upright(picture)


def to_rgb(image: Image.Image) -> Image.Image:
    """Returns the first frame, upright, transparency on white, in RGB, as a viewer shows it.

    The original demo reads a file with `convert("RGB")` alone. That ignores the EXIF orientation,
    drops alpha (hidden colours show, often black) and clips 16-bit greys at 255 (almost every pixel
    becomes white). This function turns the picture, lays it on white, and takes the high byte of
    16-bit greys, as Pillow itself does for other 16-bit PNGs. It ignores a colour profile, as the
    original does. Modes "I" and "F" declare no range: Pillow clips them to 0..255.
    """
    image.seek(0) if image.tell() else image.load()
    if isinstance(image, GifImageFile) and image.dispose_extent not in (None, (0, 0, *image.size)):
        # Pillow fills the area outside the first frame with a colour; viewers leave it clear.
        box = image.dispose_extent
        return _on_canvas(_on_white(image.crop(box)), box[:2], image.size)
    return _on_white(_upright(image))


def centre_square(image: Image.Image, side: int) -> Image.Image:
    """Returns the largest centred square of the picture, resized to side x side (bicubic).

    The filter reads pixels beyond the square's edge; cropping first would hide them from it.
    """
    width, height = image.size
    edge = min(width, height)
    left, top = (width - edge) // 2, (height - edge) // 2
    box = (left, top, left + edge, top + edge)
    return image.resize((side, side), Image.Resampling.BICUBIC, box=box)


def fit(image: Image.Image, side: int, how: str) -> Image.Image:
    """RGB picture -> side x side, PIL's bicubic: the centre (`crop`) or all of it (`squash`).

    The embedded models crop, as EfficientNet was trained. The family squashes whatever the aspect
    ratio, as MiniGPT-4 does in training and inference.
    """
    if how == "crop":
        return centre_square(image, side)
    return image.resize((side, side), Image.Resampling.BICUBIC)


def _open(data: bytes, formats: tuple[str, ...] = ("PNG",)) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=formats)


def _open_low_bytes(data: bytes) -> Image.Image:
    """Opens the low bytes of a picture with 16-bit samples."""
    image = _open(data)
    ((decoder, extents, offset, _),) = image.tile
    image.tile = [(decoder, extents, offset, "RGB;16L")]
    return image


def _with_alpha(webp: bytes) -> bytes:
    """Marks an animation as transparent; otherwise Pillow shows black outside the first frame."""
    if webp[12:16] != b"VP8X" or not webp[20] & 2:
        return webp
    return webp[:20] + bytes([webp[20] | 0x10]) + webp[21:]


def _upright(image: Image.Image) -> Image.Image:
    """Turns the image by its EXIF orientation; returns the image itself if it is upright."""
    if image.getexif().get(ORIENTATION, 1) == 1:
        return image
    return ImageOps.exif_transpose(image)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        import numpy as np

        values = np.asarray(image)  # [H, W], 0..65535; the picture's brightness does not matter
        grey = (values >> 8).astype(np.uint8)
        grey[values == image.info.get("transparency")] = 255
        image = Image.fromarray(grey)
    if image.has_transparency_data:
        clear = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.new("RGB", clear.size, "white")
        image.paste(clear, mask=clear)
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_canvas(picture: Image.Image, at: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    """Places the picture on a white canvas, unless it covers the whole canvas."""
    if picture.size == size:
        return picture
    canvas = Image.new("RGB", size, "white")
    canvas.paste(picture, at)
    return canvas


def _whiten(picture: Image.Image, low: Image.Image, key: tuple[int, int, int]) -> None:
    """Whitens pixels whose high bytes (`picture`) and low bytes are the transparent colour."""
    import numpy as np

    width, height = picture.size
    for top in range(0, height, STRIP):
        box = (0, top, width, min(top + STRIP, height))
        strip = np.array(picture.crop(box), np.uint8)  # [h, W, 3]
        values = strip.astype(np.uint16) << 8 | np.asarray(low.crop(box))
        strip[(values == key).all(axis=-1)] = 255
        picture.paste(Image.fromarray(strip), box)
