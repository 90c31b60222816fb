"""Photos that are in no cache: random crops of the samples, each a JPEG of its own."""

import io
import random
from pathlib import Path

from PIL import Image

SAMPLES = Path(__file__).parents[2] / "samples"


class Photos:
    """`photos[n]` is a seed's n-th JPEG; all of them differ."""

    def __init__(self, seed: int):
        self._seed = seed
        self._samples = [Image.open(path).convert("RGB") for path in sorted(SAMPLES.glob("*.jpg"))]

    def __getitem__(self, n: int) -> bytes:
        rng = random.Random(f"{self._seed}/{n}")
        sample = self._samples[n % len(self._samples)]
        width, height = sample.size
        part = rng.uniform(0.6, 0.95)
        w, h = round(width * part), round(height * part)
        x, y = rng.randrange(width - w + 1), rng.randrange(height - h + 1)
        out = io.BytesIO()
        sample.crop((x, y, x + w, y + h)).save(out, "JPEG", quality=90, comment=str(n).encode())
        return out.getvalue()
