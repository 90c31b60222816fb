"""Made-up photos and captions, in shards as img2dataset writes them."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

WORDS = ("the", "time", "people", "way", "water", "day", "two", "number", "first", "part", "look")


def picture(seed: int, side: int = 64) -> Image.Image:
    """A smooth picture that looks like no other, made of a few random waves."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    waves = np.zeros((side, side, 3))
    for _ in range(8):
        turn = 2 * np.pi * (draw.uniform(0.5, 4) * x + draw.uniform(-4, 4) * y + draw.random())
        waves += np.cos(turn)[..., None] * draw.uniform(-1, 1, 3)
    low, high = waves.min(), waves.max()
    return Image.fromarray((255 * (waves - low) / (high - low)).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def captions(seed: int, count: int) -> list[str]:
    draw = np.random.default_rng([seed, 1])
    return [" ".join(draw.choice(WORDS, draw.integers(2, 7))) for _ in range(count)]


def write_shard(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))
    return path


def sample(key: str, seed: int, count: int = 2) -> dict[str, bytes]:
    text = "\n".join(captions(seed, count))
    return {f"{key}.jpg": encoded(picture(seed)), f"{key}.txt": text.encode()}


def write_shards(folder: Path, photos: int = 12, shards: int = 2, count: int = 2) -> str:
    """The pattern that names the shards."""
    each = photos // shards
    for shard in range(shards):
        members: dict[str, bytes] = {}
        for n in range(shard * each, (shard + 1) * each):
            members |= sample(f"{n:09d}", n, count)
        write_shard(folder / f"{shard:05d}.tar", members)
    return f"{folder}/{{00000..{shards - 1:05d}}}.tar"


def write_answers(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
