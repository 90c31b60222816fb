"""Small checkpoints and shards of made-up photos, once for the whole run."""

from functools import cache

import pytest
import small_family
import torch
from photo_shards import write_shards


@pytest.fixture(scope="module", autouse=True)
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
def paper_settings(family, shards, tmp_path):
    """Both stages' settings that leave every one of the paper's as it is, changed as asked.

    Both sets of stage 1 are made-up shards, and what stage 2 starts with is the checkpoint's.
    """

    def make(model: str, stage: int, **changed: object) -> dict:
        sets = {1: ("laion", "cc_sbu"), 2: ("cc_sbu_align",)}[stage]
        return {
            "checkpoint": str(family(model)),
            "out": str(tmp_path / "paper"),
            "cache": str(tmp_path / "features"),
            "data": [{"set": name, "path": shards} for name in sets],
            "threads": 1,
            "device": "cpu",
            "save_every": 2,
            **({"start": "checkpoint"} if stage == 2 else {}),
        } | changed

    return make


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
