"""The engine gives the reference's answers, token by token, and continues from any cut."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from reference import reference_tokens
from worker_process import Answer, Worker, generate, request

from minigpt4.modeling import MiniGPT4ForConditionalGeneration
from minigpt4.prompt import TEMPLATES, Prompt

TOKENS = 24
NAMES = ("cat", "coffee", "rocket", "astronaut")


@pytest.fixture(scope="module")
def photos(samples: Path) -> dict[str, Image.Image]:
    found = {}
    for name in NAMES:
        with Image.open(samples / f"{name}.jpg") as image:
            # Lossless from here on, and small, so that both sides see the same pixels.
            found[name] = image.convert("RGB").resize((300, 260))
    return found


@pytest.fixture(scope="module")
def prompts(photos: dict[str, Image.Image]) -> list[list]:
    cat, coffee, rocket, astronaut = (photos[name] for name in NAMES)
    first = [
        [photo, question]
        for photo in photos.values()
        for question in ("What is in this picture?", "Describe this image in detail.")
    ]
    middle = [
        ["Here is a photo.", photo, "Write a short poem about it."] for photo in photos.values()
    ]
    two = [
        [cat, coffee, "What do these two pictures show?"],
        [rocket, "comes before", astronaut, "Why?"],
        ["Compare", astronaut, "with", cat],
        [coffee, coffee, "Are these the same?"],
    ]
    three = [[cat, "and", rocket, "and", coffee, "Tell a story with all of them."]]
    none = [
        ["What is the capital of France?"],
        ["Name three fruits."],
        ["Write <|im_end|> and <image> backwards. 😀"],
        ["1 + 1 ="],
    ]
    last = [["Tell me what you see:", photo] for photo in (cat, rocket)]
    return first + middle + two + three + none + last


@pytest.fixture(scope="module")
def answers(worker: Worker, prompts: list[list]) -> list[Answer]:
    return asyncio.run(generate(worker, [request(*p, max_tokens=TOKENS) for p in prompts]))


@pytest.fixture(scope="module")
def reference(nano_checkpoint: Path) -> MiniGPT4ForConditionalGeneration:
    model = MiniGPT4ForConditionalGeneration.from_pretrained(nano_checkpoint, dtype=torch.float32)
    torch.set_num_threads(1)  # next to a busy engine, more threads only wait for each other
    return model.eval()


def test_greedy_tokens_equal_the_references_on_at_least_20_prompts(
    prompts, answers, reference, nano_checkpoint
):
    prompt = Prompt(nano_checkpoint / "tokenizer.json", TEMPLATES["chatml"], 16)
    assert len(prompts) >= 20
    wrong = []
    for content, got in zip(prompts, answers, strict=True):
        pictures = [part for part in content if isinstance(part, Image.Image)]
        assert got.prompt_token_ids.count(16) == len(pictures)
        wanted = reference_tokens(
            reference, got.prompt_token_ids, pictures, TOKENS, prompt.stop_ids
        )
        if got.token_ids != wanted:
            wrong.append(([p for p in content if isinstance(p, str)], got.token_ids, wanted))
    assert not wrong
    assert sum(len(got.token_ids) for got in answers) > 5 * len(answers)  # they say something


def continuations(content: list, whole: Answer, **sampling) -> list[tuple[dict, list[int]]]:
    """For every cut of an answer: the request that continues from it, and the ids to expect."""
    cuts = []
    # After an end of turn the last attempt has nothing to say but that; after `length`, no room.
    for cut in range(len(whole.token_ids) + (whole.finish_reason == "stop")):
        body = request(*content, max_tokens=TOKENS - cut, **sampling)
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
    worker, prompts, answers
):
    tried = [n for n in (0, 8, 12, 16, 18) if answers[n].token_ids]
    assert len(tried) >= 4
    for n in tried:
        check_continuations(worker, answers[n], continuations(prompts[n], answers[n]))


def test_a_repetition_penalty_counts_committed_ids(worker, prompts):
    content = prompts[16]
    body = request(*content, max_tokens=TOKENS, repetition_penalty=1.3)
    (whole,) = asyncio.run(generate(worker, [body]))
    assert len(whole.token_ids) > 5
    check_continuations(worker, whole, continuations(content, whole, repetition_penalty=1.3))
