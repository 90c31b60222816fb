"""Any picture becomes the same kind of pixel values."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from minigpt4.config import MiniGPT4Config
from minigpt4.processing import expand_image_tokens, pixel_values, to_rgb

CONFIG = MiniGPT4Config()
VISION = CONFIG.vision_config


def halves(size: tuple[int, int] = (300, 200)) -> Image.Image:
    """Red above, blue below."""
    image = Image.new("RGB", size, "red")
    image.paste("blue", (0, size[1] // 2, *size))
    return image


def reread(image: Image.Image, kind: str, **options) -> Image.Image:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Image.open(io.BytesIO(file.getvalue()))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "1", "CMYK", "I;16", "F"])
def test_every_mode_gives_finite_pixels_of_the_encoders_shape(mode):
    grey = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (200, 1)))
    values = pixel_values(grey.convert(mode) if mode != "I;16" else grey.convert("I;16"), VISION)
    assert values.shape == (3, 260, 260) and values.dtype == torch.float32
    assert values.isfinite().all()
    assert values[0, 130, 250] > values[0, 130, 10] + 1  # still dark to light


def test_black_and_white_span_the_normalised_range():
    low = (0 - VISION.mean) / VISION.std
    high = (1 - VISION.mean) / VISION.std
    assert torch.allclose(pixel_values(Image.new("RGB", (50, 50)), VISION), torch.tensor(low))
    white = pixel_values(Image.new("RGB", (50, 50), "white"), VISION)
    assert torch.allclose(white, torch.tensor(high))


def test_the_centre_square_is_taken_and_not_squashed():
    image = Image.new("RGB", (300, 100), "black")
    image.paste("white", (100, 0, 200, 100))
    values = pixel_values(image, VISION)
    assert (values[:, :, 2:-2] > 0.9).all()  # bicubic reaches over the cut by a pixel


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned = to_rgb(reread(halves(), "JPEG", exif=exif, quality=95))
    assert turned.getpixel((150, 10))[2] > 200 and turned.getpixel((150, 190))[0] > 200


def test_the_first_frame_of_an_animation_is_used_wherever_it_was_left():
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "green", "blue")]
    image = reread(frames[0], "GIF", save_all=True, append_images=frames[1:])
    image.seek(2)
    assert to_rgb(image).getpixel((20, 20)) == (255, 0, 0)


def test_transparency_lies_on_white():
    assert to_rgb(Image.new("RGBA", (10, 10), (0, 0, 0, 0))).getpixel((5, 5)) == (255, 255, 255)
    palette = Image.new("P", (10, 10), 0)
    palette.putpalette([9, 9, 9] * 256)
    transparent = reread(palette, "PNG", transparency=0)
    assert to_rgb(transparent).getpixel((5, 5)) == (255, 255, 255)


def test_a_truncated_picture_is_an_error_not_a_grey_one():
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)).save(
        file, "JPEG"
    )
    with pytest.raises(OSError):
        pixel_values(Image.open(io.BytesIO(file.getvalue()[:4000])), VISION)


def test_a_single_pixel_is_a_picture():
    assert pixel_values(Image.new("RGB", (1, 1), "red"), VISION).shape == (3, 260, 260)


def test_each_placeholder_becomes_as_many_as_an_image_has_tokens():
    ids = expand_image_tokens([1, 16, 5, 16], CONFIG)
    assert ids == [1] + [16] * CONFIG.num_image_tokens + [5] + [16] * CONFIG.num_image_tokens
