"""The whole family through the plugin: vLLM's greedy tokens are the reference's.

Small random weights with the true layer structure; one engine per model.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from conversations import prompts
from reference import ends_early, pictures_of, reference_tokens
from small_family import save, small_model
from worker_process import Answer, Worker, conversation, generate, start

from minigpt4.detokenize import Detokenizer, Vocabulary
from minigpt4.modeling import MiniGPT4ForConditionalGeneration
from minigpt4.models import FAMILY, TEMPLATE
from minigpt4.prompt import TEMPLATES, Prompt

TOKENS = 24


@dataclass(frozen=True)
class Served:
    name: str
    checkpoint: Path
    worker: Worker


@pytest.fixture(scope="module", params=list(FAMILY))
def served(request, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    checkpoint = save(request.param, tmp_path_factory.mktemp("checkpoint") / request.param)
    worker = start(checkpoint, "--kv-cache-mib", "128", model=request.param)
    try:
        worker.wait_until_ready()
        yield Served(request.param, checkpoint, worker)
    finally:
        worker.stop()


@pytest.fixture(scope="module")
def reference(served: Served) -> MiniGPT4ForConditionalGeneration:
    torch.set_num_threads(1)  # next to a busy engine, more threads only wait for each other
    return small_model(served.name)


@pytest.fixture(scope="module")
def answers(served: Served) -> list[Answer]:
    bodies = [
        conversation(*turns, model=served.name, max_tokens=TOKENS, temperature=0)
        for turns in prompts()
    ]
    return asyncio.run(generate(served.worker, bodies))


def test_greedy_tokens_equal_the_references_on_20_prompts(served, reference, answers):
    tokenizer = served.checkpoint / "tokenizer.json"
    prompt = Prompt(tokenizer, TEMPLATES[TEMPLATE[served.name]], 0)
    vocabulary = Vocabulary(tokenizer)
    never = sorted(prompt.control_ids.difference(prompt.stop_ids))
    wrong = []
    for turns, got in zip(prompts(), answers, strict=True):
        pictures = pictures_of(turns)
        assert got.prompt_token_ids.count(0) == len(pictures)
        wanted = reference_tokens(
            reference, got.prompt_token_ids, pictures, TOKENS, prompt.stop_ids, never
        )
        text = Detokenizer(vocabulary).push(wanted)
        if got.token_ids != wanted and not ends_early(got, wanted, text):
            wrong.append((turns, got.token_ids, wanted))
    assert len(answers) >= 20
    assert not wrong
    assert sum(len(got.token_ids) for got in answers) > 10 * len(answers)  # they say something


def test_other_pictures_get_other_answers(answers):
    """Else equality would say nothing about the encoder."""
    same_question = [answers[n].token_ids for n in (0, 3)]
    assert same_question[0] != same_question[1]
    assert len({tuple(got.token_ids) for got in answers}) > len(answers) * 0.8


def test_an_answer_continues_from_committed_ids_as_if_it_had_not_stopped(served, answers):
    tried = [n for n in (0, 7, 12, 16) if len(answers[n].token_ids) > 8]
    assert tried
    for n in tried:
        whole = answers[n]
        body = conversation(*prompts()[n], model=served.name, temperature=0)
        del body["messages"]
        cuts = [1, 4, len(whole.token_ids) - 1]
        bodies = [
            {
                **body,
                "max_tokens": TOKENS - cut,
                "prompt_token_ids": whole.prompt_token_ids,
                "committed_token_ids": whole.token_ids[:cut],
            }
            for cut in cuts
        ]
        for cut, later in zip(cuts, asyncio.run(generate(served.worker, bodies)), strict=True):
            assert later.token_ids == whole.token_ids[cut:]
            assert whole.text.endswith(later.text)
