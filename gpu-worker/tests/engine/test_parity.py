"""The engine gives the reference's answers, token by token, and continues from any cut.

nano is held to it in every run; mini, where MINIGPT4_MINI names its checkpoint (conftest.py).
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from conversations import about
from reference import TOKENS, Wanted, wanted_answers
from worker_process import Answer, Worker, conversation, generate, start

MINI = pytest.param("mini", marks=pytest.mark.mini)


@dataclass(frozen=True)
class Subject:
    """A model, its worker in float32, and the reference's answers to `conversations`."""

    model: str
    worker: Worker
    conversations: list[list[list]]
    wanted: list[Wanted]

    def body(self, n: int, **more) -> dict:
        turns = self.conversations[n]
        return conversation(*turns, **{"model": self.model, "max_tokens": TOKENS, **more})


@pytest.fixture(scope="module", params=["nano", MINI])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    photos = request.getfixturevalue("photos")
    if request.param == "nano":
        worker = request.getfixturevalue("worker")
        checkpoint = request.getfixturevalue("nano_checkpoint")
        wanted = wanted_answers("nano", checkpoint, about(photos), threads=1)
        yield Subject("nano", worker, about(photos), wanted)
        return
    wanted = request.getfixturevalue("mini_wanted")
    checkpoint = request.getfixturevalue("mini_checkpoint")
    worker = start(checkpoint, "--dtype", "float32", "--kv-cache-mib", "512", model="mini")
    try:
        worker.wait_until_ready()
        yield Subject("mini", worker, about(photos), wanted)
    finally:
        worker.stop()


@pytest.fixture(scope="module")
def answers(subject: Subject) -> list[Answer]:
    bodies = [subject.body(n) for n in range(len(subject.conversations))]
    return asyncio.run(generate(subject.worker, bodies))


def test_greedy_tokens_equal_the_references_on_at_least_22_conversations(subject, answers):
    assert len(answers) >= 22
    wrong = []
    for turns, got, wanted in zip(subject.conversations, answers, subject.wanted, strict=True):
        assert got.prompt_token_ids == wanted.prompt_token_ids
        if got.token_ids != wanted.token_ids:
            texts = [part for turn in turns for part in turn if isinstance(part, str)]
            wrong.append((texts, got.token_ids, wanted.token_ids))
    assert not wrong
    assert sum(len(got.token_ids) for got in answers) > 5 * len(answers)  # they say something


def continuations(subject: Subject, n: int, whole: Answer, **more) -> list[tuple[dict, list[int]]]:
    """For every cut of an answer: the request that continues from it, and the ids to expect."""
    cuts = []
    # After an end of turn the last attempt has nothing to say but that; after `length`, no room.
    for cut in range(len(whole.token_ids) + (whole.finish_reason == "stop")):
        body = subject.body(n, max_tokens=TOKENS - cut, **more)
        del body["messages"]
        body["prompt_token_ids"] = whole.prompt_token_ids
        body["committed_token_ids"] = whole.token_ids[:cut]
        if cut < TOKENS:
            cuts.append((body, whole.token_ids[cut:]))
    return cuts


def check_continuations(worker: Worker, whole: Answer, cuts: list[tuple[dict, list[int]]]) -> None:
    later = asyncio.run(generate(worker, [body for body, _ in cuts]))
    for got, (_, token_ids) in zip(later, cuts, strict=True):
        assert replace(got, text="") == replace(whole, text="", token_ids=token_ids)
        assert whole.text.endswith(got.text)


def test_continuing_from_committed_ids_at_every_cut_equals_the_uninterrupted_answer(
    subject, answers
):
    tried = [n for n in (0, 8, 12, 16, 18, 23) if answers[n].token_ids]
    assert len(tried) >= 4
    for n in tried:
        check_continuations(subject.worker, answers[n], continuations(subject, n, answers[n]))


def test_a_repetition_penalty_counts_committed_ids(subject):
    (whole,) = asyncio.run(generate(subject.worker, [subject.body(16, repetition_penalty=1.3)]))
    assert len(whole.token_ids) > 5
    cuts = continuations(subject, 16, whole, repetition_penalty=1.3)
    check_continuations(subject.worker, whole, cuts)
