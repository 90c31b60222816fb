"""Any picture becomes the pixel values that PIL's bicubic gives, bit for bit."""

import asyncio
import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from minigpt4.config import EvaConfig, MiniGPT4Config
from minigpt4.images import Fetcher, Limits
from minigpt4.launch import load_model
from minigpt4.processing import expand_image_tokens, pixel_values, to_rgb
from minigpt4.protocol import ImageSource
from minigpt4.serve import ServeLimits, Worker

CONFIG = MiniGPT4Config()
NANO, FAMILY = CONFIG.vision_config, EvaConfig()
RNG = np.random.default_rng(4)


# The reference: what a picture is, as an array of 8-bit colours, and one PIL resize of it.


def reference(rgb: np.ndarray, tower: str) -> torch.Tensor:
    """uint8 [H, W, 3] -> float32 [3, side, side], from the published constants alone."""
    picture = Image.fromarray(rgb)
    if tower == "family":
        picture = picture.resize((224, 224), Image.Resampling.BICUBIC)
        mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    else:
        width, height = picture.size
        edge = min(width, height)
        x, y = (width - edge) // 2, (height - edge) // 2
        centre = (x, y, x + edge, y + edge)  # the filter may reach over this cut, as in training
        picture = picture.resize((260, 260), Image.Resampling.BICUBIC, box=centre)
        mean, std = (0.498,) * 3, (0.502,) * 3
    values = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    values = values.view(*picture.size[::-1], 3).permute(2, 0, 1).to(torch.float32).div(255)
    return (values - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def on_white(rgba: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 4] -> [H, W, 3]: colour * a + white * (1 - a), rounded to the nearest."""
    colour, a = rgba[..., :3].astype(np.int64), rgba[..., 3:].astype(np.int64)
    return ((2 * (colour * a + 255 * (255 - a)) + 255) // 510).astype(np.uint8)


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=-1)


def from_cmyk(inks: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 4] -> [H, W, 3]: of the light that black lets through, each ink takes a part."""
    ink, light = inks[..., :3].astype(np.int64), 255 - inks[..., 3:].astype(np.int64)
    return (light - (2 * ink * light + 255) // 510).astype(np.uint8)


def noise(height: int, width: int, channels: int, top: int = 256) -> np.ndarray:
    """Blocks and single pixels, so that both smooth and sharp places are resized."""
    coarse = RNG.integers(0, top, (-(-height // 16), -(-width // 16), channels))
    fine = RNG.integers(0, top, (height, width, channels))
    blocks = coarse.repeat(16, 0).repeat(16, 1)[:height, :width]
    mixed = np.where(RNG.random((height, width, 1)) < 0.3, fine, blocks)
    return mixed.astype(np.uint8 if top == 256 else np.uint16)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def opened(image: Image.Image, kind: str, **options) -> Image.Image:
    return Image.open(io.BytesIO(saved(image, kind, **options)))


def png(values: np.ndarray, colour_type: int, transparent: bytes = b"") -> bytes:
    """A 16-bit PNG of uint16 [H, W, C], which Pillow can read and cannot always write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + (chunk(b"tRNS", transparent) if transparent else b"")
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


# One function per kind of picture: a PIL picture and the 8-bit colours that it means.
Kind = Callable[[int, int], tuple[Image.Image, np.ndarray]]


def rgb(h: int, w: int):
    values = noise(h, w, 3)
    return Image.fromarray(values), values


def rgba(h: int, w: int):
    values = noise(h, w, 4)
    return Image.fromarray(values, "RGBA"), on_white(values)


def greys(h: int, w: int):
    values = noise(h, w, 1)[..., 0]
    return Image.fromarray(values), grey(values)


def grey_alpha(h: int, w: int):
    values = noise(h, w, 2)
    return Image.fromarray(values), on_white(np.dstack([grey(values[..., 0]), values[..., 1]]))


def palette(h: int, w: int):
    colours, indices = noise(256, 1, 3)[:, 0], noise(h, w, 1)[..., 0]
    image = Image.fromarray(indices).convert("L")
    image.putpalette(colours.tobytes())
    return image, colours[indices]


def palette_of_one_transparent_colour(h: int, w: int):
    image, values = palette(h, w)
    indices = np.asarray(image)
    values = np.where((indices == indices[0, 0])[..., None], np.uint8(255), values)
    return opened(image, "PNG", transparency=int(indices[0, 0])), values


def palette_with_alphas(h: int, w: int):
    image, values = palette(h, w)
    alphas = noise(256, 1, 1)[:, 0, 0]
    values = on_white(np.dstack([values, alphas[np.asarray(image)]]))
    return opened(image, "PNG", transparency=alphas.tobytes()), values


def palette_beside_alpha(h: int, w: int):
    colours, values = noise(256, 1, 3)[:, 0], noise(h, w, 2)
    image = Image.frombytes("PA", (w, h), values.tobytes())
    image.putpalette(colours.tobytes())
    return image, on_white(np.dstack([colours[values[..., 0]], values[..., 1]]))


def gif_of_one_transparent_colour(h: int, w: int):
    image, values = palette_of_one_transparent_colour(h, w)
    return opened(image, "GIF"), values


def one_bit(h: int, w: int):
    values = noise(h, w, 1)[..., 0] > 127
    return Image.fromarray(values), grey(values * np.uint8(255))


def cmyk(h: int, w: int):
    values = noise(h, w, 4)
    return Image.frombytes("CMYK", (w, h), values.tobytes()), from_cmyk(values)


def sixteen_bit_grey(h: int, w: int):
    values = noise(h, w, 1, 65536)
    return Image.open(io.BytesIO(png(values, 0))), grey((values[..., 0] // 256).astype(np.uint8))


def sixteen_bit_grey_of_one_transparent_value(h: int, w: int):
    values = noise(h, w, 1, 65536)
    key = int(values[0, 0, 0])
    shown = np.where(values == key, 255, values // 256).astype(np.uint8)[..., 0]
    return Image.open(io.BytesIO(png(values, 0, struct.pack(">H", key)))), grey(shown)


def sixteen_bit_rgb(h: int, w: int):
    values = noise(h, w, 3, 65536)
    return Image.open(io.BytesIO(png(values, 2))), (values // 256).astype(np.uint8)


def sixteen_bit_rgba(h: int, w: int):
    values = noise(h, w, 4, 65536)
    return Image.open(io.BytesIO(png(values, 6))), on_white((values // 256).astype(np.uint8))


KINDS: list[Kind] = [
    rgb,
    rgba,
    greys,
    grey_alpha,
    palette,
    palette_of_one_transparent_colour,
    palette_with_alphas,
    palette_beside_alpha,
    gif_of_one_transparent_colour,
    one_bit,
    cmyk,
    sixteen_bit_grey,
    sixteen_bit_grey_of_one_transparent_value,
    sixteen_bit_rgb,
    sixteen_bit_rgba,
]
# height, width: larger and smaller than the square, wide, tall, one pixel thin, the square itself.
SIZES = [(480, 640), (96, 80), (61, 700), (900, 33), (1, 300), (300, 1), (1, 1), (224, 224)]


@pytest.fixture(params=["family", "nano"])
def tower(request) -> str:
    return request.param


def vision(tower: str):
    return FAMILY if tower == "family" else NANO


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[1]}x{size[0]}")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_mode_at_every_size_equals_pils_bicubic_bit_for_bit(kind: Kind, size, tower: str):
    image, values = kind(*size)
    assert torch.equal(pixel_values(image, vision(tower)), reference(values, tower))


# What a viewer does with the stored rows for each EXIF orientation.
UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_every_exif_orientation_is_turned_upright(kind: str, orientation: int, tower: str):
    stored = Image.fromarray(noise(130, 310, 3))
    image = opened(stored, kind, exif=turned(orientation))
    values = np.asarray(opened(stored, kind).convert("RGB"))  # as the codec keeps them
    upright = np.ascontiguousarray(UPRIGHT[orientation](values))
    assert torch.equal(pixel_values(image, vision(tower)), reference(upright, tower))


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("kind", [rgba, palette_with_alphas, sixteen_bit_grey])
def test_orientation_and_transparency_and_depth_come_together(kind: Kind, orientation: int, tower):
    image, values = kind(90, 200)
    options = {"exif": turned(orientation)}
    if "transparency" in image.info:
        options["transparency"] = image.info["transparency"]
    upright = np.ascontiguousarray(UPRIGHT[orientation](values))
    got = pixel_values(opened(image, "PNG", **options), vision(tower))
    assert torch.equal(got, reference(upright, tower))


@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGB", "JPEG", {"quality": 90}),
        ("RGB", "JPEG", {"progressive": True, "subsampling": 0}),
        ("L", "JPEG", {}),
        ("CMYK", "JPEG", {}),
        ("RGB", "WEBP", {"quality": 80}),
        ("RGBA", "WEBP", {"lossless": True, "exact": True}),
        ("RGBA", "PNG", {}),
        ("1", "PNG", {}),
        ("P", "GIF", {}),
    ],
)
def test_real_files_give_what_pil_decodes(samples: Path, mode, kind, options, tower: str):
    photo = Image.open(samples / "cat.jpg").convert("RGB").resize((333, 217)).convert(mode)
    if mode == "RGBA":
        photo.putalpha(Image.linear_gradient("L").resize(photo.size))
    data = saved(photo, kind, **options)
    decoded = Image.open(io.BytesIO(data))
    if mode == "RGBA":
        values = on_white(np.asarray(decoded.convert("RGBA")))
    elif mode == "CMYK":
        values = from_cmyk(np.asarray(decoded))
    else:
        values = np.asarray(decoded.convert("RGB"))
    got = pixel_values(Image.open(io.BytesIO(data)), vision(tower))
    assert torch.equal(got, reference(values, tower))


def test_a_colour_profile_is_ignored_as_the_original_does(tower: str):
    values = noise(100, 120, 3)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    image = opened(Image.fromarray(values), "PNG", icc_profile=profile)
    assert image.info["icc_profile"]
    assert torch.equal(pixel_values(image, vision(tower)), reference(values, tower))


def test_a_dark_16_bit_picture_stays_dark():
    # As 8-bit values these would span black to white.
    values = np.arange(256, dtype=np.uint16).reshape(16, 16, 1)
    assert to_rgb(Image.open(io.BytesIO(png(values, 0)))).getextrema() == ((0, 0),) * 3


@pytest.mark.parametrize("widen", [lambda v: v * 257, lambda v: v * 256])
def test_8_bit_greys_in_16_bits_decode_unchanged(widen):
    values = np.arange(256, dtype=np.uint16).reshape(16, 16, 1)
    image = to_rgb(Image.open(io.BytesIO(png(widen(values), 0))))
    assert (np.asarray(image) == values).all()


def test_transformers_blip_processor_agrees(samples: Path):
    """The same squares exactly; it rounds its arithmetic elsewhere, so nearly the same values."""
    size = {"height": 224, "width": 224}
    squares = BlipImageProcessorPil(size=size, do_rescale=False, do_normalize=False)
    whole = BlipImageProcessorPil(size=size)
    for name in ("cat", "coffee", "rocket", "astronaut"):
        photo = Image.open(samples / f"{name}.jpg").convert("RGB")
        square = squares(photo, return_tensors="np")["pixel_values"][0]  # [3, 224, 224]
        want = reference(np.asarray(photo), "family")
        mean, std = (
            torch.tensor(FAMILY.mean)[:, None, None],
            torch.tensor(FAMILY.std)[:, None, None],
        )
        assert torch.equal((torch.tensor(square).float() / 255 - mean) / std, want)
        assert torch.equal(pixel_values(photo, FAMILY), want)
        values = whole(photo, return_tensors="pt")["pixel_values"][0]
        assert torch.allclose(values.float(), want, atol=1e-6)


@pytest.fixture(scope="module")
def worker(nano_checkpoint: Path) -> Worker:
    limits = Limits(min_side=1)
    model = load_model("nano", nano_checkpoint, 2048)
    return Worker(model, ServeLimits(image=limits), Fetcher([], limits), "key")


def files() -> dict[str, bytes]:
    """A file of each kind that changes its mode, its shape or its head on the way."""
    exif = turned(6)
    return {
        "jpeg": saved(rgb(480, 640)[0], "JPEG", exif=exif),
        "cmyk jpeg": saved(cmyk(90, 200)[0], "JPEG", exif=exif),
        "rgba png": saved(rgba(33, 700)[0], "PNG", exif=exif),
        "rgb png with a key": saved(
            Image.new("RGB", (50, 70), "red"), "PNG", transparency=(255, 0, 0)
        ),
        "palette png": saved(palette_with_alphas(90, 70)[0], "PNG", exif=exif),
        "16-bit png": png(noise(90, 200, 1, 65536), 0),
        "webp": saved(rgba(300, 200)[0], "WEBP", exif=exif),
        "gif": saved(palette(90, 200)[0], "GIF"),
        "one pixel": saved(rgb(1, 1)[0], "PNG"),
    }


@pytest.mark.parametrize("name", files())
def test_a_workers_way_in_two_steps_gives_the_same_pixels(worker: Worker, name: str, tower: str):
    data = files()[name]
    side = vision(tower).image_size
    worker.model = replace(worker.model, image_side=side, image_fit=vision(tower).fit)
    # Read and cut to the square on arrival, once more made into pixel values in the engine.
    (image,) = asyncio.run(worker.load([ImageSource("id", None, data)]))
    square = image.square
    assert (image.id, square.size, square.mode) == ("id", (side, side), "RGB")
    whole = pixel_values(Image.open(io.BytesIO(data)), vision(tower))
    assert torch.equal(pixel_values(square, vision(tower)), whole)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_a_mode_without_a_range_is_clipped_to_8_bits(mode: str, tower: str):
    values = noise(40, 50, 1)[..., 0]
    image = Image.fromarray(values.astype(np.int32 if mode == "I" else np.float32) * 2)
    clipped = grey(np.minimum(values.astype(np.int64) * 2, 255).astype(np.uint8))
    assert torch.equal(pixel_values(image, vision(tower)), reference(clipped, tower))


def test_the_first_frame_of_an_animation_is_used_wherever_it_was_left():
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "green", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        image = opened(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
        image.seek(2)
        assert to_rgb(image).getpixel((20, 20)) == (255, 0, 0)


def test_a_truncated_picture_is_an_error_not_a_grey_one():
    data = saved(Image.fromarray(noise(200, 200, 3)), "JPEG")
    with pytest.raises(OSError):
        pixel_values(Image.open(io.BytesIO(data[: len(data) // 3])), FAMILY)


def test_each_placeholder_becomes_as_many_as_an_image_has_tokens():
    ids = expand_image_tokens([1, 16, 5, 16], CONFIG)
    assert ids == [1] + [16] * CONFIG.num_image_tokens + [5] + [16] * CONFIG.num_image_tokens
