r"""One engine for all these tests, and for nothing else: they count what it runs.

mini takes 20 minutes and 10 GB, so its tests run only where its checkpoints are named:

    minigpt4-worker assemble mini --out models/mini-bf16
    MINIGPT4_MINI=models/mini-bf16 MINIGPT4_MINI_SERVED=../.state/models/mini \
        python -m pytest tests/engine -m mini
"""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from conversations import about
from PIL import Image
from reference import Wanted, wanted_answers
from worker_process import Worker, start


def _named(variable: str) -> Path:
    if given := os.environ.get(variable):
        return Path(given)
    pytest.skip(f"{variable} names no checkpoint")


@pytest.fixture(scope="session")
def mini_checkpoint() -> Path:
    """mini with its language model in bfloat16, whose values float32 holds exactly."""
    return _named("MINIGPT4_MINI")


@pytest.fixture(scope="session")
def mini_served() -> Path:
    """mini as it is served, with the same projection."""
    return _named("MINIGPT4_MINI_SERVED")


@pytest.fixture(scope="session")
def photos(samples: Path) -> dict[str, Image.Image]:
    found = {}
    for name in ("cat", "coffee", "rocket", "astronaut"):
        with Image.open(samples / f"{name}.jpg") as image:
            # Lossless from here on, and small, so that both sides see the same pixels.
            found[name] = image.convert("RGB").resize((300, 260))
    return found


@pytest.fixture(scope="session")
def mini_wanted(mini_checkpoint: Path, photos: dict[str, Image.Image]) -> list[Wanted]:
    """From a process that has ended, memory and all, before an engine starts."""
    threads = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        asked = pool.submit(wanted_answers, "mini", mini_checkpoint, about(photos), threads)
        return asked.result()


@pytest.fixture(scope="session")
def worker(nano_checkpoint: Path) -> Iterator[Worker]:
    own = start(nano_checkpoint)
    try:
        own.wait_until_ready()
        yield own
    finally:
        own.stop()
