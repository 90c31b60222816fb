"""Odd files show what viewers show of them. test/e2e/pictures.test.ts asks Chromium; here the right
values are computed."""

import struct

import numpy as np
import odd_pictures as odd
import pytest

from minigpt4.decoding import Limits, decode
from minigpt4.picture import to_rgb

LIMITS = Limits(min_side=1)
WHITE = np.uint8(255)


def shown(data: bytes) -> np.ndarray:
    """uint8 [H, W, 3]"""
    return np.asarray(to_rgb(decode(data, LIMITS)))


def as_8_bits(samples: np.ndarray, depth: int) -> np.ndarray:
    return (samples >> 8 if depth == 16 else samples * 255 // ((1 << depth) - 1)).astype(np.uint8)


def on_white(colours: np.ndarray, clear: np.ndarray) -> np.ndarray:
    return np.where(clear[..., None], WHITE, colours)


def in_colours(samples: np.ndarray, depth: int) -> np.ndarray:
    colours = as_8_bits(samples, depth)
    return np.repeat(colours, 3, axis=-1) if colours.shape[-1] == 1 else colours


@pytest.mark.parametrize("laced", [False, True])
@pytest.mark.parametrize(
    ("colour", "depth"), [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16)]
)
def test_a_transparent_colour_is_that_of_the_samples_at_every_depth(colour, depth, laced):
    samples = np.array(odd.samples(depth, colour), np.uint16)
    top = (1 << depth) - 1
    for key in (
        samples[9, 9],
        samples[20, 30],
        samples[0, 0] * 0,
        samples[0, 0] * 0 + min(top, 17),
    ):
        name = struct.pack(f">{len(key)}H", *key)
        data = odd.png(depth, colour, trns=name, laced=laced)
        clear = (samples == key).all(axis=-1)
        assert (shown(data) == on_white(in_colours(samples, depth), clear)).all()


def test_a_16_bit_picture_is_clear_only_where_all_its_bits_are_those_of_the_colour():
    every_other = [[(51200 + x % 2, 25600, 12800) for x in range(48)] for _ in range(40)]
    raw = odd.scanlines(every_other, 16, 2)
    image = shown(odd.png(16, 2, raw=raw, trns=struct.pack(">3H", 51200, 25600, 12800)))
    assert (image[:, ::2] == 255).all()
    assert (image[:, 1::2] == (200, 100, 50)).all()
    opaque = shown(odd.png(16, 2, raw=raw, trns=struct.pack(">3H", 200, 100, 50)))
    assert (opaque == (200, 100, 50)).all()


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_palettes_alphas_are_laid_on_white(depth: int):
    indices = np.array(odd.samples(depth, 3), np.uint8)[..., 0]
    colours = np.frombuffer(odd.palette(), np.uint8).reshape(16, 3).astype(int)
    alphas = np.array([(n * 80) % 256 for n in range(16)])
    entries = min(1 << depth, 16)
    data = odd.png(depth, 3, trns=bytes(alphas[:entries].tolist()))
    a = alphas[indices][..., None]
    want = (2 * (colours[indices] * a + 255 * (255 - a)) + 255) // 510
    assert (shown(data) == want).all()


PLAIN = shown(odd.png())


# One announces an animation that is not there.
EXTRAS = {name: data for name, data in odd.png_extras() if "extra" in name}
del EXTRAS["png/extra-acTL"]


@pytest.mark.parametrize("name", EXTRAS)
def test_an_optional_chunk_changes_nothing(name: str):
    assert (shown(EXTRAS[name]) == PLAIN).all()


def test_data_after_the_last_row_changes_nothing():
    for name, data in odd.png_damage():
        if name in ("png/adler-wrong", "png/adler-missing", "png/zlib-more", "png/rows-more"):
            assert (shown(data) == PLAIN).all(), name


def gif_colours(width: int, height: int, shift: int = 0) -> np.ndarray:
    table = np.frombuffer(odd.gif_palette(shift), np.uint8).reshape(16, 3)
    return table[np.array(odd.gif_indices(width, height))].reshape(height, width, 3)


@pytest.mark.parametrize("dispose", [0, 1, 2, 3])
@pytest.mark.parametrize("clear", [None, 3, 5])
@pytest.mark.parametrize("local", [b"", odd.gif_palette(99)])
@pytest.mark.parametrize("later", [False, True])
def test_a_gifs_first_frame_leaves_the_rest_of_the_screen_white(dispose, clear, local, later):
    first = odd.gif_frame((20, 16), (8, 10), local=local)
    parts = [odd.gif_control(clear, dispose), first]
    parts += [odd.gif_control(), odd.gif_frame()] if later else []
    image = shown(odd.gif(*parts))
    want = np.full((40, 48, 3), WHITE)
    colours = gif_colours(20, 16, 99 if local else 0)
    indices = np.array(odd.gif_indices(20, 16)).reshape(16, 20)
    want[10:26, 8:28] = on_white(colours, indices == clear)
    assert (image == want).all()


def test_an_apng_shows_its_first_frame_and_not_the_still_picture_beside_it():
    files = dict(odd.apng())
    still = np.array(odd.samples(8, 2), np.uint8)
    turned = still[..., [2, 0, 1]]
    for name in (
        "still-is-no-frame",
        "split",
        "control-twice",
        "more-announced",
        "data-far",
        "frames-two-then-data",
        "frames-two-small-first",
    ):
        assert (shown(files[f"apng/{name}"]) == turned).all(), name
    for name in (
        "still-is-first",
        "no-control",
        "control-bad-sum",
        "control-short",
        "control-late",
        "frame-before-control",
        "frame-before-control-two",
    ):
        assert (shown(files[f"apng/{name}"]) == still).all(), name
    small = np.full_like(still, WHITE)
    small[5:25, 10:30] = turned[5:25, 10:30]
    for name in ("small-first", "small-first-over"):
        assert (shown(files[f"apng/{name}"]) == small).all(), name
    assert (shown(files["apng/orientation"]) == small.swapaxes(0, 1)[:, ::-1]).all()


def test_an_animated_webps_first_frame_leaves_the_rest_of_the_canvas_white():
    files = dict(odd.webps())
    want = np.full((40, 48, 3), WHITE)
    want[10:26, 8:28] = np.asarray(odd.picture(20, 16))
    for name in ("small-first", "small-only", "small-dispose"):
        assert (shown(files[f"webp/animated-{name}"]) == want).all(), name
