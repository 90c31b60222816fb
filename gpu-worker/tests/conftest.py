"""One assembled checkpoint for the whole run."""

import os
from pathlib import Path

import pytest

from minigpt4.checkpoints import nano

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def nano_checkpoint() -> Path:
    """The folder MINIGPT4_CHECKPOINT names, else the one `npm start` uses, made if need be."""
    if given := os.environ.get("MINIGPT4_CHECKPOINT"):
        return Path(given)
    folder = REPOSITORY / ".state" / "models" / "nano"
    return folder if nano.is_current(folder) else nano.assemble(folder)


@pytest.fixture(scope="session")
def samples() -> Path:
    return REPOSITORY / "samples"


@pytest.fixture(scope="session")
def synthetic_sets(tmp_path_factory):
    """Original-format files with random weights, and the checkpoints assembled of them."""
    from synthetic import Sets

    return Sets(tmp_path_factory.mktemp("synthetic"))
