"""One assembled checkpoint for the whole run."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from minigpt4.checkpoints import embedded

REPOSITORY = Path(__file__).parents[2]

# Runs are repeatable, and a pause of a busy machine is not a counterexample.
# `--hypothesis-profile=explore` draws other examples each time.
STEADY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", STEADY)
settings.register_profile("steady", STEADY, derandomize=True)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def nano_checkpoint() -> Path:
    """The folder MINIGPT4_CHECKPOINT names, else the one `npm start` uses, made if need be."""
    if given := os.environ.get("MINIGPT4_CHECKPOINT"):
        return Path(given)
    folder = REPOSITORY / ".state" / "models" / "nano"
    return folder if embedded.is_current("nano", folder) else embedded.assemble("nano", folder)


@pytest.fixture(scope="session")
def samples() -> Path:
    return REPOSITORY / "samples"


@pytest.fixture(scope="session")
def synthetic_sets(tmp_path_factory):
    """Original-format files with random weights, and the checkpoints assembled of them."""
    from synthetic import Sets

    return Sets(tmp_path_factory.mktemp("synthetic"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs the engine's tests first: they count what it runs, and `npm test` shares it later on."""
    items.sort(key=lambda item: "engine" not in item.path.parts)
