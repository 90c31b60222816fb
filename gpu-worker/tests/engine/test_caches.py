"""Caches are on, and each tenant has its own (DESIGN.md, promise 4)."""

import asyncio
import uuid
from itertools import pairwise

import pytest
from PIL import Image
from worker_process import Answer, Worker, generate, request

LONG = "Look at the picture carefully, from left to right and from top to bottom. " * 12


def metric(worker: Worker, name: str) -> float:
    lines = worker.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def ask(worker: Worker, image_id: str, salt: str, text: str = "What is this?") -> Answer:
    body = request(Image.new("RGB", (64, 64), "navy"), text, max_tokens=2, cache_salt=salt)
    body["images"][0]["id"] = image_id
    return asyncio.run(generate(worker, [body]))[0]


@pytest.fixture
def tenants() -> list[str]:
    """Names that are new to the engine that serves this run."""
    return [uuid.uuid4().hex for _ in range(2)]


def test_one_account_encodes_an_image_once_and_two_accounts_twice(worker, tenants):
    runs = [metric(worker, "minigpt4_images_encoded_total")]
    for tenant in (tenants[0], tenants[0], tenants[1], tenants[1]):
        ask(worker, f"{tenant}.image", tenant)
        runs.append(metric(worker, "minigpt4_images_encoded_total"))
    assert [run - runs[0] for run in runs[1:]] == [1, 1, 2, 2]


def test_one_account_reuses_a_prefix_and_two_accounts_do_not(worker, tenants):
    hits = [metric(worker, "vllm:prefix_cache_hits_total")]
    for tenant in (tenants[0], tenants[0], tenants[1]):
        # The image's id enters the prefix too; here it is the same, so that only the salt differs.
        ask(worker, f"{tenants[0]}.image", tenant, LONG)
        hits.append(metric(worker, "vllm:prefix_cache_hits_total"))
    first, again, other = (later - sooner for sooner, later in pairwise(hits))
    assert (first, other) == (0, 0)
    assert again >= 128  # at least a block of tokens
