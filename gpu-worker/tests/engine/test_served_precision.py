"""What mini loses by the precision that it is served in, beside the reference in float32.

A long answer in another precision leaves the reference's at the first near tie, so equality is a
share here, and is printed.
"""

import asyncio
from pathlib import Path

import pytest
from conversations import about
from reference import TOKENS, stored_projection
from worker_process import conversation, generate, start


def agreement(got: list[int], wanted: list[int]) -> int:
    """The tokens before the first one that differs."""
    pairs = zip(got, wanted, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(got), len(wanted)))


@pytest.mark.mini
def test_most_tokens_in_the_served_precision_are_the_references(
    mini_wanted, mini_checkpoint: Path, mini_served: Path, photos, capsys
):
    projection = stored_projection(mini_served)
    for name, tensor in stored_projection(mini_checkpoint).items():
        assert tensor.equal(projection[name]), f"{mini_served} has another projection"
    worker = start(mini_served, model="mini")
    try:
        worker.wait_until_ready()
        bodies = [
            conversation(*turns, model="mini", max_tokens=TOKENS, temperature=0)
            for turns in about(photos)
        ]
        answers = asyncio.run(generate(worker, bodies))
    finally:
        worker.stop()
    pairs = [
        (got.token_ids, wanted.token_ids) for got, wanted in zip(answers, mini_wanted, strict=True)
    ]
    equal = sum(got == wanted for got, wanted in pairs)
    first = sum(got[:1] == wanted[:1] for got, wanted in pairs)
    same = sum(agreement(got, wanted) for got, wanted in pairs)
    tokens = sum(len(wanted) for _, wanted in pairs)
    with capsys.disabled():
        print(
            f"\n{mini_served.name}, up to {TOKENS} tokens: {equal} of {len(pairs)} answers equal "
            f"the float32 reference's, {first} first tokens; {same} of {tokens} tokens come "
            "before the first difference"
        )
    assert first > len(pairs) / 2
