"""One engine for the whole run: a worker given by the environment, or one started here."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from worker_process import Worker, start


@pytest.fixture(scope="session")
def worker(nano_checkpoint: Path) -> Iterator[Worker]:
    """MINIGPT4_WORKER_URL and MINIGPT4_WORKER_KEY name a running worker, else one is started."""
    url, key = os.environ.get("MINIGPT4_WORKER_URL"), os.environ.get("MINIGPT4_WORKER_KEY")
    if url and key:
        given = Worker(url.rstrip("/"), key)
        given.wait_until_ready()
        yield given
        return
    own = start(nano_checkpoint)
    try:
        own.wait_until_ready()
        yield own
    finally:
        own.stop()
