"""Small checkpoints and shards of made-up photos, once for the whole run."""

from functools import cache
from pathlib import Path

import pytest
import small_family
import torch
from photo_shards import write_shards


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """So that sums come out the same in every process of these tests."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def family(tmp_path_factory):
    """Name of a member -> its checkpoint folder, of small widths and random weights."""
    root = tmp_path_factory.mktemp("family")
    return cache(lambda name: small_family.save(name, root / name))


@pytest.fixture(scope="session")
def shards(tmp_path_factory) -> str:
    return write_shards(tmp_path_factory.mktemp("photos"))


@pytest.fixture
def settings(family, shards, tmp_path):
    """Settings of a short run of vicuna-7b's stage 1, changed as asked."""

    def make(**changed: object) -> dict:
        model = changed.pop("model", "vicuna-7b")
        return {
            "checkpoint": str(family(model)),
            "out": str(tmp_path / "out"),
            "cache": str(tmp_path / "features"),
            "data": [{"set": "cc_sbu", "path": shards}],
            "steps": 4,
            "warmup": 2,
            "batch": 3,
            "batches": 2,
            "threads": 1,
            "device": "cpu",
            "precision": "float32",
            "save_every": 2,
        } | changed

    return make


def losses(out: Path) -> list[float]:
    import json

    return [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]
